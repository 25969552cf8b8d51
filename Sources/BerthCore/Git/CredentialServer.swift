import Base
public import EventLoop
internal import Glibc

/// Answers git's credential helper for the time of one operation, on a socket that only Berth's own user can open.
///
/// Pinned to its loop; `close()` removes the socket.
public final class CredentialServer: Sendable {
    public let path: String
    private let listener: ListeningSocket
    private let loop: EventLoop

    /// - Parameter directory: of mode 0700; its path leaves room for a file name within a socket address (107 bytes).
    public init(logins: [GitLogin], directory: String, name: String, loop: EventLoop) async throws {
        let path = "\(directory)/\(name)"
        self.path = path
        self.loop = loop
        listener = try await loop.run {
            try ListeningSocket(unix: path, mode: 0o600, loop: loop) { descriptor, _ in
                loop.spawn { await Self.serve(descriptor, logins: logins, loop: loop) }
            }
        }
    }

    public func close() async { try? await loop.run { self.listener.close() } }

    private static func serve(_ descriptor: CInt, logins: [GitLogin], loop: EventLoop) async {
        let watched = Descriptor(descriptor, loop: loop, closingFile: true)
        defer { watched.closeSoon() }
        guard isOwn(descriptor) else { return }
        var question: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while question.count < 64 << 10 {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                question += buffer[..<count]
            } else if count == 0 {
                break
            } else if errno == EAGAIN {
                guard (try? await watched.readable()) != nil else { return }
            } else if errno != EINTR {
                return
            }
        }
        let text = String(decoding: question, as: UTF8.self)
        guard let answer = CredentialProgram.answer(text, logins: logins) else { return }
        // Fits the socket's buffer many times over.
        _ = Array(answer.utf8).withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
        }
    }

    private static func isOwn(_ descriptor: CInt) -> Bool {
        // struct ucred of unix(7): pid, uid, gid.
        var peer: (pid_t, uid_t, gid_t) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: peer))
        return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.1 == geteuid()
    }
}
