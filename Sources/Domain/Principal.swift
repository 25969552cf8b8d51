public import Base

/// Who makes a request: a user in one organization, with the role there.
public struct Principal: Sendable, Hashable {
    public var organizationID: OrganizationID
    public var userID: UserID
    public var role: Role
    /// nil where no key was presented: the server's own user on its own socket.
    public var keyID: APIKeyID?

    public init(organizationID: OrganizationID, userID: UserID, role: Role, keyID: APIKeyID? = nil) {
        self.organizationID = organizationID
        self.userID = userID
        self.role = role
        self.keyID = keyID
    }

    public func may(_ permissions: Permissions) -> Bool { role.permissions.isSuperset(of: permissions) }

    /// Throws `forbidden` naming the role.
    public func require(_ permissions: Permissions) throws(BerthError) {
        guard may(permissions) else {
            throw BerthError(
                .forbidden,
                "the role \(role.rawValue) does not allow this",
                remedy: "ask an owner or an admin of the organization"
            )
        }
    }

    /// Whether a row of this organization and owner is this user's to see: one's own, or the organization's (no owner).
    public func mayReach(organization: OrganizationID, owner: UserID?) -> Bool {
        organization == organizationID && (owner == nil || owner == userID)
    }
}
