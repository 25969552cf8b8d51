import Base
import EventLoop
import Glibc
import OpenSSL

/// Keeps the server's certificate as new as its files: looks at them when they change, at SIGHUP, and once a minute, as
/// a file may also change without a sign in its directory. What cannot be used changes nothing but the log.
struct CertificateKeeper: Sendable {
    let identity: TLSIdentity
    let certificateFile: String
    let keyFile: String
    let loop: EventLoop
    let time: any TimeSource
    let log: Log
    /// Told after a new certificate is in use.
    let changed: @Sendable (TLSCertificate) throws -> Void

    /// How long before its end a certificate is warned of.
    static let notice = Duration.seconds(14 * 86400)
    private static let period = Duration.seconds(60)
    /// Two files are seldom written at once.
    private static let settling = Duration.milliseconds(200)

    func run() async throws {
        let bell = Wakeup()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for path in Set([certificateFile, keyFile]).sorted() {
                group.addTask { try await watch(path, bell) }
            }
            let hangups = try await SignalSource([SIGHUP], loop: loop)
            group.addTask { for await _ in hangups { bell.ring() } }
            group.addTask { try await look(bell) }
            defer {
                hangups.close()
                group.cancelAll()
            }
            try await group.waitForAll()
        }
    }

    /// Without a directory to watch there is still the look once a minute.
    private func watch(_ path: String, _ bell: Wakeup) async throws {
        guard let watch = try? await FileWatch(path: path, loop: loop) else { return }
        defer { watch.close() }
        while true {
            try await watch.change()
            bell.ring()
        }
    }

    private func look(_ bell: Wakeup) async throws {
        var lastFailure: String?
        var warnedAt: Uptime?
        var seen = bell.count
        while true {
            let left = identity.certificate.notAfter - time.now
            if left < Self.notice, warnedAt.map({ time.uptime - $0 >= .seconds(86400) }) ?? true {
                warnedAt = time.uptime
                Self.warn(identity.certificate, left, log)
            }
            try await bell.wait(after: seen, until: time.uptime + Self.period, time: time)
            if bell.count > seen { try await time.wait(for: Self.settling) }
            seen = bell.count
            do {
                if try identity.reload() {
                    let certificate = identity.certificate
                    log.info("certificate loaded", Self.facts(certificate))
                    warnedAt = nil
                    try changed(certificate)
                }
                lastFailure = nil
            } catch {
                let known = BerthError(wrapping: error)
                // Once for each kind of trouble, however often it is looked at.
                guard known.message != lastFailure else { continue }
                lastFailure = known.message
                log.warning("certificate not loaded, the old one stays", ["error": known.description])
            }
        }
    }

    private static func warn(_ certificate: TLSCertificate, _ left: Duration, _ log: Log) {
        if left < .zero {
            log.error("the certificate has expired", facts(certificate))
        } else {
            log.warning("the certificate expires soon", facts(certificate))
        }
    }

    static func facts(_ certificate: TLSCertificate) -> Log.Facts {
        [
            "subject": certificate.subject, "names": certificate.names.joined(separator: " "),
            "not_after": certificate.notAfter.description, "pin": certificate.pin.description,
        ]
    }
}
