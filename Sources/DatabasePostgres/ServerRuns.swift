import Synchronization

/// The server's runs that writers of this process have met, in order, and how far its log had been recovered when each
/// began. A writer is entered here before it writes, so no number that one of them was given out anew goes unseen.
final class ServerRuns: Sendable {
    private struct Run {
        var name: String
        /// `pg_lsn`; nil when the first who came could not tell any more.
        var recovered: String?
    }

    enum Verdict: Equatable {
        /// The transaction's number tells the truth.
        case known
        /// Its COMMIT was lost with the end of the log.
        case lost
        case unknown
    }

    private let runs = Mutex<[Run]>([])

    /// A writer has met the run `name`. `recovered` asks the server, over the writer's connection.
    func met(_ name: String, recovered: () throws -> String?) rethrows {
        while true {
            let (isKnown, count) = runs.withLock { ($0.last?.name == name, $0.count) }
            if isKnown { return }
            let recovered = try recovered()
            let isEntered = runs.withLock { runs in
                // Another run was met meanwhile; whether it is the later one shows when this one is asked again.
                guard runs.count == count else { return false }
                runs.append(Run(name: name, recovered: recovered))
                return true
            }
            if isEntered { return }
        }
    }

    /// What may be believed of `mark`'s number now. Of several recoveries any may have lost it: after that its number
    /// belongs to another, and later ones find a log that has grown beyond its place.
    func verdict(on mark: TransactionMark) -> Verdict {
        let later = runs.withLock { runs in
            runs.lastIndex { $0.name == mark.run }.map { runs[($0 + 1)...].map(\.recovered) }
        }
        guard let later, let position = Self.position(mark.position) else { return .unknown }
        let recovered = later.map { $0.flatMap(Self.position) }
        if recovered.contains(where: { $0.map { $0 < position } ?? false }) { return .lost }
        return recovered.contains(nil) ? .unknown : .known
    }

    /// The text of a `pg_lsn`: two hexadecimal numbers.
    private static func position(_ text: String) -> UInt64? {
        let halves = text.split(separator: "/").compactMap { UInt64($0, radix: 16) }
        return halves.count == 2 ? halves[0] << 32 | halves[1] : nil
    }
}
