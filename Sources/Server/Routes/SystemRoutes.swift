import API
import Accounts
import Base
import Database
import Domain
import OpenSSL
import Replicas
import Transport
import WorkerProtocol

/// `whoami`, health, versions.
extension ServerCore {
    func whoAmI(_ context: RequestContext) throws -> HTTPResponse {
        let principal = try context.principal
        return try Self.json(
            WhoAmI(
                organizationId: principal.organizationID,
                userId: principal.userID,
                role: principal.role.rawValue,
                keyId: principal.keyID
            )
        )
    }

    /// Returns at the next change of the organization, or at the time limit.
    func waitForChange(_ organization: OrganizationID, after: Int64, atMost limit: Duration) async throws {
        do {
            try await draining.wait { [feed, time] in
                try await withDeadline(limit, time: time, what: "a change") {
                    try await feed.waitForEvent(organization, after: after)
                }
            }
        } catch let error as BerthError where error.code == .timedOut {}
    }

    func ready() async throws -> HTTPResponse {
        // One read proves that the database answers.
        _ = try await database.read { try $0.rows("SELECT 1 AS one") }
        guard replicas.seat.isActing(at: time.uptime) else {
            throw BerthError(
                .unavailable,
                "this server has lost its database's leave to act; it asks for it again",
                isRetryable: true
            )
        }
        let disk = FreeSpace.isFull(configuration.dataDirectory) ? "full" : "ok"
        return try Self.json(Health(status: "ok", checks: ["database": "ok", "disk": disk, "lease": "held"]))
    }

    func version() throws -> HTTPResponse { try Self.json(Version(workerProtocol: ProtocolLimits.version)) }

    /// The description, which stays the same while the server runs.
    static func openAPI() throws -> HTTPResponse {
        let (bytes, digest) = try description.get()
        var response = HTTPResponse.json(bytes)
        response.headers.add("etag", "\"\(digest)\"")
        response.headers.add("cache-control", "no-cache")
        return response
    }

    private static let description = Result {
        let bytes = try JSONBody.encode(OpenAPI.document())
        return (bytes, Hex.encode(SHA256.hash(bytes).prefix(16)))
    }

    static func json(_ value: some Encodable, status: Int = 200) throws -> HTTPResponse {
        .json(try JSONBody.encode(value), status: status)
    }
}

extension Principal {
    /// Whose rows it sees: its own and the organization's, or everyone's.
    var visibleUser: UserID? { role.permissions.contains(.manageOrganization) ? nil : userID }
}
