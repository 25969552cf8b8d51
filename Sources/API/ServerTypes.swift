public import Base

public struct WhoAmI: Sendable, Codable, Equatable {
    public var organizationId: OrganizationID
    public var userId: UserID
    public var role: String
    public var keyId: APIKeyID?

    public init(organizationId: OrganizationID, userId: UserID, role: String, keyId: APIKeyID?) {
        self.organizationId = organizationId
        self.userId = userId
        self.role = role
        self.keyId = keyId
    }
}

public struct WorkerStatus: Sendable, Codable, Equatable {
    public var id: String
    public var environmentId: EnvironmentID?
    public var version: String
    public var capabilities: [String]
    public var slots: Int
    /// Executions that it runs now.
    public var executions: [String]
    public var isConnected: Bool
    public var connectedAt: Timestamp?
    public var lastHeardAt: Timestamp?

    public init(
        id: String,
        environmentId: EnvironmentID?,
        version: String,
        capabilities: [String],
        slots: Int,
        executions: [String],
        isConnected: Bool,
        connectedAt: Timestamp?,
        lastHeardAt: Timestamp?
    ) {
        self.id = id
        self.environmentId = environmentId
        self.version = version
        self.capabilities = capabilities
        self.slots = slots
        self.executions = executions
        self.isConnected = isConnected
        self.connectedAt = connectedAt
        self.lastHeardAt = lastHeardAt
    }
}

public struct Health: Sendable, Codable, Equatable {
    public var status: String
    public var checks: [String: String]?

    public init(status: String, checks: [String: String]? = nil) {
        self.status = status
        self.checks = checks
    }
}

public struct Version: Sendable, Codable, Equatable {
    public var version: String
    public var apiVersion: String
    public var workerProtocol: Int

    /// Of this build.
    public static let product = "0.1.0"

    public init(version: String = Self.product, apiVersion: String = "v1", workerProtocol: Int) {
        self.version = version
        self.apiVersion = apiVersion
        self.workerProtocol = workerProtocol
    }
}
