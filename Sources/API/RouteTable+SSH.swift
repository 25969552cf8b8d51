public import Base

extension RouteTable {
    static let ssh: [Route] = [
        Route(
            .sshPrepare,
            .post,
            "/v1/environments/{environmentId}/ssh",
            .run,
            "What an SSH client has to know of an environment: its user and its host key. Wakes the environment.",
            answer: .json(.sshAccess)
        ),
        Route(
            .sshConnect,
            .get,
            "/v1/environments/{environmentId}/ssh/connect",
            .run,
            "A WebSocket to the environment's own OpenSSH server, for a ProxyCommand. Binary messages carry the bytes "
                + "both ways; closes as a tunnel.",
            query: [
                .init("publicKey", .string(), "the key that the client will show: a line of a .pub file; required")
            ],
            answer: .webSocket,
            isAudited: true
        ),
        Route(
            .sshCredentials,
            .post,
            "/v1/environments/{environmentId}/ssh/credentials",
            .run,
            "Open a port of the server's loopback, from 2222 on, to a running environment's own OpenSSH server, for SSH "
                + "clients that take no ProxyCommand. The key that is answered is made for it, kept nowhere, and opens "
                + "this port alone; at `expiresAt` port and connections are closed.",
            query: [
                .init("expiresInMs", .integer(minimum: 60_000, maximum: 86_400_000), "milliseconds; default 3,600,000")
            ],
            answer: .json(.sshCredentials, status: 201),
            isAudited: true
        ),
        Route(
            .sshCredentialsEnd,
            .delete,
            "/v1/environments/{environmentId}/ssh/credentials/{token}",
            .run,
            "Close such a port and its connections before their time.",
            answer: .json(.sshCredentialsEnd),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let sshAccess = Schema.object(
        name: "SSHAccess",
        members: [
            .required("environmentId", .string(), "env_…"),
            .required("name", .string(), "of the environment"),
            .required("user", .string(), "the one to log in as"),
            .required("hostKey", .string(), "as a line of known_hosts has it behind the name"),
            .optional("workspaceRoot", .string(), "the directory that checkouts lie in"),
        ]
    )

    static let sshCredentials = Schema.object(
        name: "SSHCredentials",
        members: [
            .required("environmentId", .string(), "env_…"),
            .required("host", .string(), "the server's loopback address"),
            .required("port", .integer(), "2222 to 2321"),
            .required("username", .string(), "the one to log in as"),
            .required("privateKey", .string(), "in OpenSSH's form, without a passphrase; shown this once"),
            .required("token", .string(), "names this login, to end it"),
            .required("hostKey", .string(), "as a line of known_hosts has it behind the name"),
            .required("expiresAt", time, "when port and connections are closed"),
        ]
    )

    static let sshCredentialsEnd = Schema.object(
        name: "SSHCredentialsEnd",
        members: [.required("token", .string(), "of the login that is no more")]
    )
}

/// A login for SSH clients that take no ProxyCommand.
public struct SSHCredentials: Sendable, Codable, Equatable {
    public var environmentId: EnvironmentID
    public var host: String
    public var port: Int
    public var username: String
    /// In OpenSSH's form.
    public var privateKey: String
    public var token: String
    /// `ssh-ed25519 AAAA…`.
    public var hostKey: String
    public var expiresAt: Timestamp

    public init(
        environmentId: EnvironmentID,
        host: String,
        port: Int,
        username: String,
        privateKey: String,
        token: String,
        hostKey: String,
        expiresAt: Timestamp
    ) {
        self.environmentId = environmentId
        self.host = host
        self.port = port
        self.username = username
        self.privateKey = privateKey
        self.token = token
        self.hostKey = hostKey
        self.expiresAt = expiresAt
    }
}

public struct SSHCredentialsEnd: Sendable, Codable, Equatable {
    public var token: String

    public init(token: String) { self.token = token }
}

/// What an SSH client has to know of an environment.
public struct SSHAccess: Sendable, Codable, Equatable {
    public var environmentId: EnvironmentID
    public var name: String
    public var user: String
    /// `ssh-ed25519 AAAA…`.
    public var hostKey: String
    /// The directory that checkouts lie in.
    public var workspaceRoot: String?

    public init(
        environmentId: EnvironmentID,
        name: String,
        user: String,
        hostKey: String,
        workspaceRoot: String? = nil
    ) {
        self.workspaceRoot = workspaceRoot
        self.environmentId = environmentId
        self.name = name
        self.user = user
        self.hostKey = hostKey
    }
}
