/// What a role allows. Routes name the one they need; which rows it reaches is decided by organization and owner.
public struct Permissions: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// See what is one's own, what is shared with one, and what belongs to the organization.
    public static let read = Permissions(rawValue: 1 << 0)
    /// Create and cancel executions, open terminals.
    public static let run = Permissions(rawValue: 1 << 1)
    /// Create, start, stop and destroy environments and workspaces of one's own.
    public static let manageEnvironments = Permissions(rawValue: 1 << 2)
    /// Make and revoke keys of one's own.
    public static let manageKeys = Permissions(rawValue: 1 << 3)
    /// Members, invitations, other people's keys, quotas, and environments that the organization owns.
    public static let manageOrganization = Permissions(rawValue: 1 << 4)
    /// Delete the organization, hand it over, change what it pays.
    public static let administer = Permissions(rawValue: 1 << 5)
}

/// A person's place in an organization.
public enum Role: String, Sendable, Codable, CaseIterable {
    case owner, admin, member, contributor

    public var permissions: Permissions {
        switch self {
        case .contributor: [.read, .run, .manageKeys]
        case .member: [.read, .run, .manageKeys, .manageEnvironments]
        case .admin: [.read, .run, .manageKeys, .manageEnvironments, .manageOrganization]
        case .owner: [.read, .run, .manageKeys, .manageEnvironments, .manageOrganization, .administer]
        }
    }
}
