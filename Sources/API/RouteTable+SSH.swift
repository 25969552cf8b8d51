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
        ]
    )
}

/// What an SSH client has to know of an environment.
public struct SSHAccess: Sendable, Codable, Equatable {
    public var environmentId: EnvironmentID
    public var name: String
    public var user: String
    /// `ssh-ed25519 AAAA…`.
    public var hostKey: String

    public init(environmentId: EnvironmentID, name: String, user: String, hostKey: String) {
        self.environmentId = environmentId
        self.name = name
        self.user = user
        self.hostKey = hostKey
    }
}
