import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import Workers
import Workspaces

/// `/v1/environments/{environmentId}/terminals`. The server keeps nothing of a terminal: rows and bytes are the
/// environment's own, so a password typed there is never here.
extension ServerCore {
    private static let callTime = Duration.seconds(20)
    /// What a viewer gets of the past where it does not say.
    private static let standardReplay: Int64 = -(64 << 10)

    func terminalCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await environment(context)
        let body: CreateTerminal = try await context.body(limit: configuration.maximumBodyBytes)
        let record = try await reached(found)
        var directory: String?
        var variables: [String: String]?
        if let id = body.workspaceId {
            let principal = try context.principal
            let workspace = try await workspaces.get(
                id,
                organization: principal.organizationID,
                visibleTo: principal.visibleUser
            )
            guard workspace.environmentID == record.id else {
                throw BerthError(
                    .invalidValue,
                    "the workspace is in another environment, \(workspace.environmentID)",
                    field: "workspaceId",
                    remedy: "open the terminal there"
                )
            }
            directory = workspace.directory
            variables = try await workspaces.variables(of: id, organization: principal.organizationID).reveal()
        }
        let link = try channels(of: record)
        let creation = TerminalCreation(
            id: ids.make(TerminalKind.self),
            name: try await terminalName(body.name, link),
            workspaceId: body.workspaceId,
            workspaceDirectory: directory,
            command: body.command,
            directory: body.directory,
            size: TerminalSize(columns: UInt16(body.columns ?? 80), rows: UInt16(body.rows ?? 24)),
            variables: variables
        )
        let status = try await link.call(creation, until: time.uptime + Self.callTime)
        return try Self.json(TerminalSession(status, of: record.id), status: 201)
    }

    /// The name that was asked for, checked, or the first free one.
    private func terminalName(_ wanted: String?, _ link: LinkChannels) async throws -> String {
        if let wanted {
            let allowed = wanted.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
            }
            guard (1...60).contains(wanted.utf8.count), allowed, !wanted.hasPrefix("term_") else {
                throw BerthError(
                    .invalidValue,
                    "'\(wanted.prefix(80))' is no name for a terminal",
                    field: "name",
                    remedy: "1 to 60 of a-z, 0-9, -, _ and ."
                )
            }
            return wanted
        }
        let known = Set(try await terminals(link).filter { $0.endedAt == nil }.map(\.name))
        let free = (1...).lazy.map { $0 == 1 ? "shell" : "shell-\($0)" }.first { !known.contains($0) }
        return free ?? "shell"
    }

    private func terminals(_ link: LinkChannels) async throws -> [TerminalStatus] {
        try await link.call(TerminalListing(), until: time.uptime + Self.callTime)
    }

    func terminalList(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let all = try await terminals(try channels(of: record))
        return try Self.json(Page(items: all.map { TerminalSession($0, of: record.id) }))
    }

    func terminalGet(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let status = try await terminal(context, try channels(of: record))
        return try Self.json(TerminalSession(status, of: record.id))
    }

    /// By its id, or the name of one that runs; else the newest of that name.
    func terminal(_ context: RequestContext, _ link: LinkChannels) async throws -> TerminalStatus {
        let wanted = context.parameter("terminalId")
        let all = try await terminals(link)
        let found =
            all.first { $0.id.text == wanted } ?? all.first { $0.name == wanted && $0.endedAt == nil }
            ?? all.last { $0.name == wanted }
        guard let found else {
            throw BerthError(
                .notFound,
                "there is no terminal '\(wanted.prefix(80))' in this environment",
                field: "terminalId",
                remedy: Similarity.nearest(wanted, in: all.map(\.name)).map { "did you mean '\($0)'?" }
                    ?? "see 'berth terminal ls'"
            )
        }
        return found
    }

    func terminalEnd(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let link = try channels(of: record)
        let known = try await terminal(context, link)
        let status = try await link.call(
            TerminalEnding(id: known.id, remove: context.route.id == .terminalRemove),
            until: time.uptime + Self.callTime
        )
        return try Self.json(TerminalSession(status, of: record.id), status: 202)
    }

    func terminalAttach(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await environment(context)
        guard context.request.asksForWebSocket else {
            throw BerthError(
                .invalidRequest,
                "this is a WebSocket",
                remedy: "connect with a WebSocket client, or use 'berth terminal attach'"
            )
        }
        let record = try await reached(found)
        let link = try channels(of: record)
        let known = try await terminal(context, link)
        let columns = UInt16(try context.integer("columns", default: 0))
        let rows = UInt16(try context.integer("rows", default: 0))
        let size = TerminalSize(columns: columns, rows: rows)
        let attachment = TerminalAttachment(
            id: known.id,
            offset: try context.integer("offset", default: Self.standardReplay),
            size: size.isUsable ? size : nil,
            isReadOnly: context.flag("readOnly"),
            isSnapshot: context.flag("snapshot")
        )
        let channel = try await link.connect(
            to: .service(try ServiceRequest(attachment)),
            until: time.uptime + Self.callTime
        )
        return try handOver(channel, of: link, context)
    }
}

extension TerminalSession {
    init(_ status: TerminalStatus, of environment: EnvironmentID) {
        self.init(
            id: status.id,
            environmentId: environment,
            workspaceId: status.workspaceId,
            name: status.name,
            status: status.endedAt == nil ? "running" : "ended",
            command: status.command,
            directory: status.directory,
            columns: Int(status.size.columns),
            rows: Int(status.size.rows),
            createdAt: status.createdAt,
            endedAt: status.endedAt,
            exitCode: status.exit?.exitCode.map { Int($0) },
            signal: status.exit?.signal.map { Int($0) },
            firstByte: status.firstByte,
            endByte: status.endByte,
            viewers: status.viewers
        )
    }
}
