public import Base

/// Whether a program of an environment has its login, as it says itself. Never the login.
public struct ToolLogin: Sendable, Codable, Equatable {
    public enum State: String, Sendable, Codable, CaseIterable {
        case loggedIn
        case loggedOut
        /// The program is not there.
        case missing
        /// The person does without.
        case skipped
    }

    /// `gh`, `claude`.
    public var tool: String
    public var state: State
    /// What logs in, on a terminal in the environment.
    public var command: [String]

    public init(tool: String, state: State, command: [String]) {
        self.tool = tool
        self.state = state
        self.command = command
    }
}

/// How far a person is with their personal environment.
public struct Setup: Sendable, Codable, Equatable {
    public var environmentId: EnvironmentID?
    /// As of the last check.
    public var logins: [ToolLogin]
    public var checkedAt: Timestamp?
    /// nil until everything that is not skipped has its login.
    public var completedAt: Timestamp?

    public init(
        environmentId: EnvironmentID?,
        logins: [ToolLogin],
        checkedAt: Timestamp?,
        completedAt: Timestamp?
    ) {
        self.environmentId = environmentId
        self.logins = logins
        self.checkedAt = checkedAt
        self.completedAt = completedAt
    }
}

/// `POST /v1/setup/check`.
public struct CheckSetup: Sendable, Codable, Equatable {
    /// Tools that the person does without.
    public var skip: [String]?

    public init(skip: [String]? = nil) { self.skip = skip }
}
