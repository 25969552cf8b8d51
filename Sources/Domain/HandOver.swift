public import Base

public enum HandOverKind: IdentifierKind { public static let prefix = "ho" }
public typealias HandOverID = Identifier<HandOverKind>

/// Which end of a hand-over a server is.
public enum HandOverSide: String, Sendable, Codable, CaseIterable {
    /// Had the workspace, and alone decides.
    case source
    /// Is to have it.
    case destination
}

public enum HandOverState: String, Sendable, Codable, CaseIterable {
    case preparing = "PREPARING"
    case committed = "COMMITTED"
    case done = "DONE"
    case staging = "STAGING"
    case prepared = "PREPARED"
    case owner = "OWNER"
    case aborted = "ABORTED"
    case retaken = "RETAKEN"
    case orphaned = "ORPHANED"
}

/// Who may change a workspace.
public enum Custody: String, Sendable, Codable, CaseIterable {
    /// This server, at the row's epoch.
    case owned
    /// Still this server, but nothing may run until a hand-over is decided.
    case frozen
    /// Another server; what is here is the version that was sent.
    case away
    /// Not this server yet: a version is being received.
    case arriving
    /// Another server, which took it while this one could not be asked.
    case orphaned
}
