public import Base
internal import Glibc

/// A credential for one host, as git's credential protocol may answer it.
public struct GitLogin: Sendable {
    public var scheme: String
    /// Host, with the port where the URL has one.
    public var host: String
    public var username: String
    public var password: Secret<String>

    public init(scheme: String, host: String, username: String, password: Secret<String>) {
        self.scheme = scheme
        self.host = host
        self.username = username
        self.password = password
    }
}

/// The program that git calls for a credential (gitcredentials(7)): carries git's question to the worker's socket and
/// the answer back, so that the secret is in no argument, environment or file.
public enum CredentialProgram {
    /// Path of the socket; a path, not a secret.
    public static let socketVariable = "BERTH_GIT_CREDENTIAL_SOCKET"

    /// Answers `git credential` attributes: nil when the question is for another host.
    static func answer(_ question: String, logins: [GitLogin]) -> String? {
        var attributes: [Substring: Substring] = [:]
        for line in question.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { attributes[parts[0]] = parts[1] }
        }
        let login = logins.first { login in
            guard let scheme = attributes["protocol"], let host = attributes["host"] else { return false }
            return login.scheme == scheme && login.host.lowercased() == host.lowercased()
                && (attributes["username"].map { $0 == login.username } ?? true)
        }
        guard let login else { return nil }
        let answer = [login.username, login.password.reveal()]
        guard answer.allSatisfy({ !$0.contains("\n") && !$0.contains("\0") }) else { return nil }
        return "username=\(answer[0])\npassword=\(answer[1])\nquit=1\n"
    }

    /// The helper's whole life: `get` asks, `store` and `erase` do nothing. Returns the exit status.
    public static func run(operation: String, socketPath: String) -> Int32 {
        guard operation == "get" else { return 0 }
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return 1 }
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socketPath.utf8)
        guard path.count < MemoryLayout.size(ofValue: address.sun_path) else { return 1 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return 1 }
        copy(from: 0, to: socket)
        shutdown(socket, CInt(SHUT_WR))
        copy(from: socket, to: 1)
        return 0
    }

    private static func copy(from source: CInt, to target: CInt) {
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = read(source, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            var sent = 0
            while sent < count {
                let written = buffer[sent..<count].withUnsafeBytes { write(target, $0.baseAddress, $0.count) }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return }
                sent += written
            }
        }
    }
}
