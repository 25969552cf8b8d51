public import Base

/// Who a connection is, by the token it came with. The hello names it; it never decides who it is.
public struct WorkerIdentity: Sendable, Equatable {
    public enum Place: Sendable, Equatable {
        /// The worker of one incarnation of an environment; its row was made with its token.
        case environment(WorkerID, EnvironmentID, instance: Int64)
        /// A worker that stands alone: its row is found, or made, by the name that it gives in its hello.
        case alone
    }

    public var organizationID: OrganizationID
    /// Whose environment it is; nil for what belongs to the organization.
    public var ownerID: UserID?
    public var place: Place

    public init(organizationID: OrganizationID, ownerID: UserID?, place: Place) {
        self.organizationID = organizationID
        self.ownerID = ownerID
        self.place = place
    }
}
