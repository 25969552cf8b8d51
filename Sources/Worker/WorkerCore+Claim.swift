internal import Base
internal import FoundationEssentials
internal import Glibc
internal import HolderProtocol
internal import Subprocess
internal import WorkerProtocol

// The environment, which was nobody's, becomes somebody's.
extension WorkerCore {
    /// The answer says that everything beneath is alive: the store takes a row, the holder answers, nothing ever ran.
    func claim(_ claim: ServerMessage.Claim) async -> WorkerMessage.Claimed {
        do {
            guard all.isEmpty, try await services.holder.list().isEmpty else {
                throw BerthError(.conflict, "something has run in it")
            }
            let name = claim.claim
            guard try await services.store.setting("claim", orElse: { name }) == name else {
                throw BerthError(.conflict, "it was claimed before")
            }
            Self.stir(claim.entropy)
            setClock(claim.timestamp)
            return .init(claim: claim.claim)
        } catch {
            return .init(claim: claim.claim, refusal: BerthError(wrapping: error).message)
        }
    }

    /// Where the kernel is another's too, this changes nothing that matters; where it is a copy, it tells copies apart.
    private static func stir(_ entropy: String) {
        guard let bytes = Data(base64Encoded: entropy), !bytes.isEmpty else { return }
        let file = open("/dev/urandom", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    }

    /// A machine that was asleep is told the time; one that shares its host's clock may not set it and need not.
    private func setClock(_ milliseconds: Int64) {
        guard abs(services.time.now.milliseconds - milliseconds) > 1000 else { return }
        var moment = timespec(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
        if clock_settime(CLOCK_REALTIME, &moment) != 0 {
            services.log.info("clock not set", ["errno": errno])
        }
    }
}
