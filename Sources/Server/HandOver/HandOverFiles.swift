import Base
import Domain
import HandOvers
import Transport
import Workers

/// Packed workspaces between this server and its workers, and between both servers.
struct HandOverFiles: Sendable {
    let handOvers: HandOverService
    let tokens: WorkerTokens
    /// By hand-over.
    let spool: any FileStoring
    let ids: IDSource

    /// For the worker that makes it again.
    func fetch(_ request: HTTPRequest, _ id: String) async throws -> HTTPResponse {
        let record = try await record(request, id)
        guard let response = try await spool.response(record.id.text, sha256: record.archiveDigest) else {
            throw BerthError(.notFound, "the packed workspace is gone", remedy: "send it again")
        }
        return response
    }

    /// From the worker that packed it.
    func take(_ request: HTTPRequest, _ id: String) async throws -> HTTPResponse {
        let record = try await record(request, id)
        guard record.side == .source, record.state == .preparing else {
            throw BerthError(.conflict, "the hand-over is \(record.state.rawValue)")
        }
        try await receive(request, record)
        return HTTPResponse(status: 204)
    }

    /// Keeps the body; what it is, is in the row when this returns.
    func receive(_ request: HTTPRequest, _ record: HandOverRecord) async throws {
        guard let digest = request.queryValue("sha256"), digest.utf8.count == 64 else {
            throw BerthError(.missingField, "the digest is missing", field: "sha256")
        }
        let received = try await spool.receive(
            request.body,
            as: record.id.text,
            unique: ids.make(RequestKind.self).text,
            expecting: digest
        )
        try await handOvers.change(record.id) { record in
            record.archiveBytes = received.bytes
            record.archiveDigest = received.sha256
            record.stage = "received"
        }
    }

    /// Of a workspace in the worker's own environment.
    private func record(_ request: HTTPRequest, _ text: String) async throws -> HandOverRecord {
        guard let token = FrontDoor.bearer(request) else {
            throw BerthError(.unauthenticated, "a worker needs its token", remedy: "send 'Authorization: Bearer TOKEN'")
        }
        let identity = try await tokens.authenticate(token: token)
        let unknown = BerthError(.notFound, "there is no hand-over '\(text.prefix(80))'")
        guard let id = try? HandOverID(text), case .environment(_, let environment, _) = identity.place,
            let record = try await handOvers.find(id), record.organizationID == identity.organizationID
        else { throw unknown }
        let row = try await handOvers.workspace(
            record.workspaceID,
            organization: record.organizationID,
            visibleTo: nil
        )
        guard row.environmentID == environment else { throw unknown }
        return record
    }
}
