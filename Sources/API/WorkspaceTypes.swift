public import Base
public import Domain

public struct Workspace: Sendable, Codable, Equatable {
    public var id: WorkspaceID
    public var environmentId: EnvironmentID?
    public var repositoryId: RepositoryID?
    public var name: String
    public var branch: String
    public var status: WorkspaceState
    public var location: WorkspaceLocation
    public var outcome: WorkspaceOutcome?
    public var createdAt: Timestamp

    public init(
        id: WorkspaceID,
        environmentId: EnvironmentID?,
        repositoryId: RepositoryID?,
        name: String,
        branch: String,
        status: WorkspaceState,
        location: WorkspaceLocation,
        outcome: WorkspaceOutcome?,
        createdAt: Timestamp
    ) {
        self.id = id
        self.environmentId = environmentId
        self.repositoryId = repositoryId
        self.name = name
        self.branch = branch
        self.status = status
        self.location = location
        self.outcome = outcome
        self.createdAt = createdAt
    }
}

public struct Repository: Sendable, Codable, Equatable {
    public var id: RepositoryID
    public var name: String
    public var url: String
    public var defaultBranch: String?
    public var createdAt: Timestamp

    public init(id: RepositoryID, name: String, url: String, defaultBranch: String?, createdAt: Timestamp) {
        self.id = id
        self.name = name
        self.url = url
        self.defaultBranch = defaultBranch
        self.createdAt = createdAt
    }
}

/// `POST /v1/repositories`.
public struct CreateRepository: Sendable, Codable, Equatable {
    public var url: String
    public var name: String?
    public var defaultBranch: String?

    public init(url: String, name: String? = nil, defaultBranch: String? = nil) {
        self.url = url
        self.name = name
        self.defaultBranch = defaultBranch
    }
}
