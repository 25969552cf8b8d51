internal import Base

/// Asks the programs of an environment whether they have their logins; nothing of a login is in the answer.
public struct LoginCheck: Sendable, Equatable, ServiceCall {
    public static let service = "setup.check"
    public static let isUse = false
    public typealias Answer = [CheckedLogin]

    public init() {}
}

public struct CheckedLogin: Sendable, Equatable, Codable {
    public var tool: String
    public var isInstalled: Bool
    public var isLoggedIn: Bool
    /// What logs in.
    public var command: [String]

    public init(tool: String, isInstalled: Bool, isLoggedIn: Bool, command: [String]) {
        self.tool = tool
        self.isInstalled = isInstalled
        self.isLoggedIn = isLoggedIn
        self.command = command
    }
}
