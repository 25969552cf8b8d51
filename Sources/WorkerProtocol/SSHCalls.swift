/// What an SSH client has to know of an environment before it connects.
public struct SSHPreparation: Sendable, Equatable, ServiceCall {
    public static let service = "ssh.prepare"
    public typealias Answer = SSHPlace

    public init() {}
}

public struct SSHPlace: Sendable, Equatable, Codable {
    /// The only user there is.
    public var user: String
    /// As a line of known_hosts has it behind the name: `ssh-ed25519 AAAA…`.
    public var hostKey: String
    /// The directory that checkouts lie in; nil: of a worker that does not tell.
    public var workspaceRoot: String?

    public init(user: String, hostKey: String, workspaceRoot: String? = nil) {
        self.user = user
        self.hostKey = hostKey
        self.workspaceRoot = workspaceRoot
    }
}

/// A connection of an SSH client; its channel carries what the client and the server of the environment say.
public struct SSHConnection: Sendable, Equatable, ServiceCall {
    public static let service = "ssh.connect"
    public typealias Answer = ServiceDone

    /// The key that the client is going to show, as a line of authorized_keys; whoever may open the channel may come in.
    public var publicKey: String

    public init(publicKey: String) { self.publicKey = publicKey }
}
