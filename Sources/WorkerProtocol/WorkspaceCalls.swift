public import Base
public import Domain

/// Logins for one operation with a workspace's remote.
public struct RemoteLogins: Sendable, Equatable, Codable, CustomStringConvertible {
    public var gitCredentials: [ServerMessage.GitCredential]
    public var ssh: ServerMessage.SSHCredential?

    public var description: String { "<redacted logins>" }

    public init(gitCredentials: [ServerMessage.GitCredential] = [], ssh: ServerMessage.SSHCredential? = nil) {
        self.gitCredentials = gitCredentials
        self.ssh = ssh
    }
}

/// Looks at the remote and takes what can be taken without a loss.
public struct WorkspaceSyncCall: Sendable, Equatable, ServiceCall {
    public static let service = "workspace.sync"
    public static let isUse = false
    public typealias Answer = SyncReport

    public var request: WorkspaceRequest
    public var logins: RemoteLogins?

    public init(request: WorkspaceRequest, logins: RemoteLogins?) {
        self.request = request
        self.logins = logins
    }
}

/// Starts, stops, or only looks at the run script.
public struct WorkspaceRunCall: Sendable, Equatable, ServiceCall {
    public static let service = "workspace.run"
    public typealias Answer = RunScriptStatus

    public enum Action: String, Sendable, Codable { case start, stop, look }

    public var workspaceId: WorkspaceID
    public var directory: String
    public var action: Action
    /// For the terminal of a start.
    public var terminalId: TerminalID
    /// In place of the repository's own script.
    public var command: String?
    public var variables: [String: String]?

    public init(
        workspaceId: WorkspaceID,
        directory: String,
        action: Action,
        terminalId: TerminalID,
        command: String? = nil,
        variables: [String: String]? = nil
    ) {
        self.workspaceId = workspaceId
        self.directory = directory
        self.action = action
        self.terminalId = terminalId
        self.command = command
        self.variables = variables
    }
}

/// What the repository says about its workspaces, and what other tools' files would give.
public struct WorkspaceLookCall: Sendable, Equatable, ServiceCall {
    public static let service = "workspace.look"
    public static let isUse = false
    public typealias Answer = WorkspaceLook

    public var directory: String

    public init(directory: String) { self.directory = directory }
}

public struct WorkspaceLook: Sendable, Equatable, Codable {
    /// What the workspace goes by.
    public var configuration: WorkspaceConfiguration
    /// The file that it comes from; nil: there is none.
    public var file: String?
    /// Why that file cannot be used.
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

/// Ends everything that runs in a workspace and removes its working tree; its branches are kept.
public struct WorkspaceArchiveCall: Sendable, Equatable, ServiceCall {
    public static let service = "workspace.archive"
    public typealias Answer = WorkspaceArchiveAnswer

    public var request: WorkspaceRequest
    public var logins: RemoteLogins?
    public var commitLeftovers: Bool
    public var force: Bool
    public var variables: [String: String]?
    /// Says what would be lost, and does nothing.
    public var onlyLooks: Bool?

    public init(
        request: WorkspaceRequest,
        logins: RemoteLogins?,
        commitLeftovers: Bool,
        force: Bool,
        variables: [String: String]?,
        onlyLooks: Bool? = nil
    ) {
        self.onlyLooks = onlyLooks
        self.request = request
        self.logins = logins
        self.commitLeftovers = commitLeftovers
        self.force = force
        self.variables = variables
    }
}

public struct WorkspaceArchiveAnswer: Sendable, Equatable, Codable {
    public var isRemoved: Bool
    /// Nothing was ended or removed: this would be lost.
    public var losses: [String]
    /// Holds what was left over.
    public var commit: String?
    public var warnings: [String]

    public init(isRemoved: Bool, losses: [String] = [], commit: String? = nil, warnings: [String] = []) {
        self.isRemoved = isRemoved
        self.losses = losses
        self.commit = commit
        self.warnings = warnings
    }
}

/// Forgets the branches that were kept of an archived workspace.
public struct WorkspaceForgetCall: Sendable, Equatable, ServiceCall {
    public static let service = "workspace.forget"
    public static let isUse = false
    public typealias Answer = ServiceDone

    public var request: WorkspaceRequest
    public var logins: RemoteLogins?

    public init(request: WorkspaceRequest, logins: RemoteLogins?) {
        self.request = request
        self.logins = logins
    }
}
