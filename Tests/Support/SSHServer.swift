import FoundationEssentials
import Glibc

/// OpenSSH's own server on a loopback port, run as the test's user, with keys of its own. It ends with this object.
public final class SSHServer: Sendable {
    public let port: Int
    /// A private key that it accepts.
    public let clientKey: String
    /// Its own host key's line for a known_hosts file.
    public let knownHost: String
    private let process: ChildProcess
    private let directory: String

    /// - Parameters:
    ///   - directory: for its files; another server on the same directory and port has other keys with `renewing`.
    ///   - port: 0 takes a free one.
    public init(in directory: String, port wanted: Int = 0, renewing: Bool = false) async throws {
        self.directory = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        if geteuid() == 0 { mkdir("/run/sshd", 0o755) }
        if renewing { try? FileManager.default.removeItem(atPath: "\(directory)/host") }
        for name in ["host", "client", "stranger"] where access("\(directory)/\(name)", F_OK) != 0 {
            try await check(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", "\(directory)/\(name)"])
        }
        let publicKey = try Data(contentsOf: URL(filePath: "\(directory)/client.pub"))
        try publicKey.write(to: URL(filePath: "\(directory)/authorized_keys"))
        clientKey = "\(directory)/client"
        let port = wanted == 0 ? try Self.freePort() : wanted
        self.port = port
        let host = String(decoding: try Data(contentsOf: URL(filePath: "\(directory)/host.pub")), as: UTF8.self)
        knownHost = "[127.0.0.1]:\(port) \(host.split(separator: " ").prefix(2).joined(separator: " "))\n"
        let configuration = """
            ListenAddress 127.0.0.1
            Port \(port)
            HostKey \(directory)/host
            AuthorizedKeysFile \(directory)/authorized_keys
            PidFile none
            UsePAM no
            StrictModes no
            PermitRootLogin yes
            PasswordAuthentication no
            KbdInteractiveAuthentication no

            """
        try Data(configuration.utf8).write(to: URL(filePath: "\(directory)/sshd_config"))
        process = try ChildProcess(["/usr/sbin/sshd", "-D", "-e", "-f", "\(directory)/sshd_config"])
        _ = try await process.line(containing: "Server listening on", on: .stderr)
    }

    /// A private key that it does not accept.
    public var strangerKey: String { "\(directory)/stranger" }

    /// Who the test runs as, and so who it logs in.
    public var user: String { getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "root" }

    public func url(_ path: String) -> String { "ssh://\(user)@127.0.0.1:\(port)\(path)" }

    public func stop() async throws {
        process.signal(SIGTERM)
        _ = try await process.exit()
    }

    private static func freePort() throws -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
            }
        }
        guard result == 0 else { throw SystemFailure("bind", errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
