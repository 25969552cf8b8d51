public import Base
import Database

/// A message of the event bus that asked for an execution. However often it is delivered, one execution comes of it.
public struct ExecutionOrigin: Sendable, Equatable {
    /// Names the message within its organization for ever.
    public var message: String
    /// By which its sender knows the execution.
    public var requestedID: String?

    public init(message: String, requestedID: String?) {
        self.message = message
        self.requestedID = requestedID
    }

    static let known: SQL = "SELECT execution_id FROM bus_requests WHERE organization_id = $1 AND message = $2"
    static let insert: SQL = """
        INSERT INTO bus_requests (organization_id, message, execution_id, requested_id, created_at)
        VALUES ($1, $2, $3, $4, $5)
        """
    static let statements = [known, insert]

    func execution(_ organization: OrganizationID, _ connection: any SQLConnection) throws -> ExecutionID? {
        try connection.first(Self.known, organization, message)?.id("execution_id")
    }

    /// In the transaction that makes the execution.
    func record(_ execution: ExecutionID, at now: Timestamp, in transaction: FeedTransaction) throws {
        try transaction.run(Self.insert, transaction.organizationID, message, execution, requestedID, now)
    }
}

extension ExecutionService {
    /// What came of a message that was delivered before.
    public func execution(from origin: ExecutionOrigin, organization: OrganizationID) async throws -> ExecutionID? {
        try await database.read { try origin.execution(organization, $0) }
    }
}
