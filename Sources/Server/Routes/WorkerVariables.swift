import Base
import Domain
import Environments
import Transport
import WorkerProtocol
import Workers
import Workspaces

/// `/v1/worker/workspaces/{workspaceId}/variables`: for the worker of the environment that the workspace is in.
struct WorkerVariables: Sendable {
    let workspaces: WorkspaceService
    let tokens: WorkerTokens

    func fetch(_ request: HTTPRequest, _ text: String) async throws -> HTTPResponse {
        guard let token = FrontDoor.bearer(request) else {
            throw BerthError(.unauthenticated, "a worker needs its token", remedy: "send 'Authorization: Bearer TOKEN'")
        }
        let identity = try await tokens.authenticate(token: token)
        let unknown = BerthError(.notFound, "there is no workspace '\(text.prefix(80))'")
        guard let id = try? WorkspaceID(text), case .environment(_, let environment, _) = identity.place else {
            throw unknown
        }
        let organization = identity.organizationID
        guard let record = try? await workspaces.get(id, organization: organization, visibleTo: nil),
            record.environmentID == environment
        else { throw unknown }
        let variables = try await workspaces.variables(of: id, organization: organization).reveal()
        return HTTPResponse(
            headers: ["content-type": "application/json", "cache-control": "no-store"],
            body: .bytes(try JSONText.encode(WorkspaceVariables(variables: variables)))
        )
    }
}
