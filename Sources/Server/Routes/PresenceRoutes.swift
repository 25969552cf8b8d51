import API
import Base
import Domain
import Environments
import Presence
import Transport
import Workspaces

/// `/v1/workspaces/{workspaceId}/presences`, and the documents' own procedures of the same (origins 2.2), which name the
/// environment, or a workspace in it, as `workspaceId`.
extension ServerCore {
    func presence(_ context: RequestContext) async throws -> HTTPResponse {
        let housed = try await housed(context)
        let principal = try context.principal
        let organization = principal.organizationID
        switch context.route.id {
        case .presenceJoin:
            let body: JoinWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
            let client = body.clientType.flatMap { ClientType(rawValue: $0) } ?? .desktop
            let record = try await join(housed.environment, housed.workspace.id, as: principal.userID, from: client)
            return try Self.json(API.Presence(record), status: 201)
        case .presenceList:
            let records = try await presences.list(
                organization,
                environment: housed.environment.id,
                workspace: housed.workspace.id
            )
            return try Self.json(Page(items: records.map { API.Presence($0) }))
        default:
            let id: PresenceID = try context.id("presenceId")
            guard try await presences.get(id, organization: organization).workspaceID == housed.workspace.id else {
                throw BerthError(.notFound, "\(id) is in another workspace", field: "presenceId")
            }
            let record =
                context.route.id == .presenceLeave
                ? try await presences.leave(id, organization: organization, by: principal.visibleUser)
                : try await presences.heartbeat(id, organization: organization, by: principal.userID)
            return try Self.json(API.Presence(record))
        }
    }

    private func join(
        _ found: EnvironmentRecord,
        _ workspace: WorkspaceID?,
        as user: UserID,
        from client: ClientType
    ) async throws -> PresenceRecord {
        let record = try await reached(found)
        let place = PresenceService.Place(
            organizationID: record.organizationID,
            environmentID: record.id,
            workspaceID: workspace,
            ownerID: record.ownerID
        )
        return try await presences.join(place, as: user, from: client)
    }

    func documentedPresence(_ context: RequestContext) async throws -> HTTPResponse {
        let call = try await DocumentedProcedure(context, limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let organization = principal.organizationID
        switch context.route.id {
        case .cloudWorkspaceHeartbeat:
            let id = try PresenceID(try call.required("sessionId"))
            let record = try await presences.heartbeat(id, organization: organization, by: principal.userID)
            return try DocumentedProcedure.answer(Self.documentedSession(record))
        case .cloudWorkspaceLeave:
            let id = try PresenceID(try call.required("sessionId"))
            let record = try await presences.leave(id, organization: organization, by: principal.visibleUser)
            return try DocumentedProcedure.answer(Self.documentedSession(record))
        default: break
        }
        let (environment, workspace) = try await documentedPlace(try call.required("workspaceId"), principal)
        guard context.route.id == .cloudWorkspaceJoin else {
            let records = try await presences.list(
                organization,
                environment: environment.id,
                workspace: workspace,
                onlyActive: context.route.id == .cloudWorkspaceGetActiveSessions
            )
            return try DocumentedProcedure.answer(.array(records.map(Self.documentedSession)))
        }
        let text = try call.text("clientType") ?? ClientType.desktop.rawValue
        guard let client = ClientType(rawValue: text) else {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(40))' is no type of client",
                field: "clientType",
                remedy: "desktop or web"
            )
        }
        let record = try await join(environment, workspace, as: principal.userID, from: client)
        return try DocumentedProcedure.answer(Self.documentedSession(record))
    }

    func documentedPlace(_ text: String, _ principal: Principal) async throws -> (
        EnvironmentRecord, WorkspaceID?
    ) {
        let organization = principal.organizationID
        guard let id = try? WorkspaceID(text) else {
            let found = try await environments.find(text, organization: organization, user: principal.userID)
            return (found, nil)
        }
        let workspace = try await workspaces.get(id, organization: organization, visibleTo: principal.visibleUser)
        let found = try await environments.find(
            workspace.environmentID.text,
            organization: organization,
            user: principal.userID
        )
        return (found, id)
    }

    private static func documentedSession(_ record: PresenceRecord) -> JSONValue {
        .object([
            "id": .string(record.id.text),
            "workspaceId": .string(record.workspaceID?.text ?? record.environmentID.text),
            "userId": .string(record.userID.text),
            "user": .object(["id": .string(record.userID.text), "name": .string(record.userName)]),
            "clientType": .string(record.clientType.rawValue),
            "connectedAt": JSONValue(record.connectedAt),
            "lastHeartbeatAt": JSONValue(record.lastHeartbeatAt),
        ])
    }
}

extension API.Presence {
    init(_ record: PresenceRecord) {
        self.init(
            id: record.id.text,
            environmentId: record.environmentID,
            workspaceId: record.workspaceID,
            userId: record.userID,
            userName: record.userName,
            clientType: record.clientType.rawValue,
            connectedAt: record.connectedAt,
            lastHeartbeatAt: record.lastHeartbeatAt,
            expiresAt: record.expiresAt,
            heartbeatMs: PresenceRecord.heartbeat.wholeMilliseconds
        )
    }
}
