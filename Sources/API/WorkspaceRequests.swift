import Base
public import Domain

/// `POST /v1/workspaces`. Begins with a repository, an issue, another workspace, or a working tree that there is.
public struct CreateWorkspace: Sendable, Codable, Equatable {
    /// nil: words of the issue or the branch.
    public var name: String?
    public var description: String?
    /// Name or id of an environment; `new` for one of its own; nil for the personal one, made on first use.
    public var environment: String?
    /// For an environment that this request makes.
    public var provider: ProviderKind?
    public var image: String?
    public var repository: CreateExecution.Checkout?
    /// `https://github.com/OWNER/REPOSITORY/issues/NUMBER`; names the repository where none is given.
    public var issueUrl: String?
    /// As the caller read it; nil: unknown.
    public var issueTitle: String?
    /// Name or id of a workspace whose commits this one begins with.
    public var from: String?
    /// Absolute path of a working tree on the server's machine, used where it lies; provider `host` alone.
    public var path: String?
    /// With an upload: what was not committed.
    public var state: WorkspaceSetup.AdoptedState?
    public var gitCredentials: [CreateExecution.GitLogin]?
    public var ssh: CreateExecution.SSHLogin?
    /// Variables of its programs. Sealed at rest, never shown again.
    public var variables: [String: String]?
    public var autoStopMinutes: Int?
    /// Looks at its remote by itself.
    public var cloudSyncEnabled: Bool?
    /// For checkout and set-up script together; default 30 minutes.
    public var setupTimeoutMs: Int64?

    public init() {}
}

/// `PUT /v1/workspaces/{workspaceId}`; what is absent stays.
public struct UpdateWorkspace: Sendable, Codable, Equatable {
    public var name: String?
    public var description: String?
    public var cloudSyncEnabled: Bool?
    /// 0 takes it away.
    public var autoStopMinutes: Int?
    public var prUrl: String?
    public var ratchetEnabled: Bool?

    public init() {}
}

/// `POST /v1/workspaces/{workspaceId}/archive`.
public struct ArchiveWorkspace: Sendable, Codable, Equatable {
    /// Puts what is not committed on the branch first.
    public var commit: Bool?
    /// Loses what is not committed, and does not ask the environment when it cannot be reached.
    public var force: Bool?

    public init(commit: Bool? = nil, force: Bool? = nil) {
        self.commit = commit
        self.force = force
    }
}

/// What archiving came to.
public struct ArchivedWorkspace: Sendable, Codable, Equatable {
    public var workspace: Workspace
    /// The commit that holds what was left over.
    public var commit: String?
    public var warnings: [String]

    public init(workspace: Workspace, commit: String?, warnings: [String]) {
        self.workspace = workspace
        self.commit = commit
        self.warnings = warnings
    }
}

/// `PUT /v1/workspaces/{workspaceId}/variables`; the others stay.
public struct SetVariables: Sendable, Codable, Equatable, CustomStringConvertible {
    public var variables: [String: String]

    public var description: String { "<redacted variables>" }

    public init(variables: [String: String]) { self.variables = variables }
}

/// Names alone: values are never shown.
public struct VariableNames: Sendable, Codable, Equatable {
    public var names: [String]
    /// It had them on the server that it came from, and has no value of them here.
    public var missing: [String]?

    public init(names: [String], missing: [String]? = nil) {
        self.names = names
        self.missing = missing
    }
}

/// `POST /v1/workspaces/{workspaceId}/run`.
public struct StartRunScript: Sendable, Codable, Equatable {
    /// In place of the repository's own script; `{port}` is replaced by a free port.
    public var command: String?

    public init(command: String? = nil) { self.command = command }
}

/// What the repository says about its workspaces, and what other tools' files would give.
public struct WorkspaceConfigurationFiles: Sendable, Codable, Equatable {
    public var configuration: WorkspaceConfiguration
    public var file: String?
    public var problem: String?
    public var imports: [ConfigurationImport]
    /// Absolute path of the working tree in the environment.
    public var path: String

    public init(
        configuration: WorkspaceConfiguration,
        file: String?,
        problem: String?,
        imports: [ConfigurationImport],
        path: String
    ) {
        self.configuration = configuration
        self.file = file
        self.problem = problem
        self.imports = imports
        self.path = path
    }
}
