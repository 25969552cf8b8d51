import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import Workspaces

/// `/v1/workspaces/{workspaceId}/agent-sessions`. The server keeps nothing of a session: its row and its log are the
/// environment's own.
extension ServerCore {
    /// An agent has to be started within it.
    private static let callTime = Duration.seconds(30)

    /// - Parameter wakes: an environment that rests is brought up.
    private func sessionLink(_ context: RequestContext, wakes: Bool) async throws -> (WorkspaceRecord, LinkChannels) {
        let found = try await housed(context)
        return (found.workspace, wakes ? try await channels(of: found) : try channels(of: found.environment))
    }

    func agentSession(_ context: RequestContext) async throws -> HTTPResponse {
        switch context.route.id {
        case .agentSessionCreate: try await agentSessionCreate(context)
        case .agentSessionList: try await agentSessionList(context)
        case .agentSessionGet: try await agentSessionGet(context)
        case .agentSessionEvents: try await agentSessionEvents(context)
        default: try await agentSessionDo(context)
        }
    }

    private func agentSessionCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await housed(context)
        let body: CreateAgentSession = try await context.body(limit: configuration.maximumBodyBytes)
        if let name = body.name { try Self.checkSessionName(name, field: "name") }
        if let workflow = body.workflow { try Self.checkSessionName(workflow, field: "workflow") }
        let (workspace, link) = (found.workspace, try await channels(of: found))
        let id = ids.make(AgentSessionKind.self)
        var session = try await link.call(
            SessionCreation(
                id: id,
                workspaceId: workspace.id,
                workspaceDirectory: workspace.directory,
                name: body.name,
                agent: body.agent ?? .claude,
                workflow: body.workflow ?? "feature",
                command: body.command,
                instructions: body.instructions,
                model: body.model,
                permissionMode: body.permissionMode ?? "default",
                requestTimeoutMs: body.requestTimeoutMs ?? AgentSessionLimits.requestTimeoutMs,
                limit: configuration.maximumAgentSessions
            ),
            until: time.uptime + Self.callTime
        )
        if let prompt = body.prompt {
            let words = SessionDeed.Words(id: ids.make(SessionMessageKind.self), text: prompt)
            session = try await link.call(SessionDeed(id: id, .init(send: words)), until: time.uptime + Self.callTime)
        }
        return try Self.json(session, status: 201)
    }

    private static func checkSessionName(_ name: String, field: String) throws(BerthError) {
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
        }
        guard (1...60).contains(name.utf8.count), allowed, !name.hasPrefix("sess_") else {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(80))' is no name for this",
                field: field,
                remedy: "1 to 60 of a-z, 0-9, -, _ and ."
            )
        }
    }

    private func agentSessionList(_ context: RequestContext) async throws -> HTTPResponse {
        let (workspace, link) = try await sessionLink(context, wakes: false)
        return try Self.json(Page(items: try await sessions(of: workspace, link)))
    }

    private func sessions(of workspace: WorkspaceRecord, _ link: LinkChannels) async throws -> [AgentSession] {
        try await link.call(SessionListing(workspaceId: workspace.id), until: time.uptime + Self.callTime)
    }

    /// By its id, or the name of one that was not stopped; else the newest of that name.
    private func session(_ context: RequestContext, _ workspace: WorkspaceRecord, _ link: LinkChannels) async throws
        -> AgentSession
    {
        let wanted = context.parameter("sessionId")
        let all = try await sessions(of: workspace, link)
        let found =
            all.first { $0.id.text == wanted } ?? all.first { $0.name == wanted && $0.status != .completed }
            ?? all.last { $0.name == wanted }
        guard let found else {
            throw BerthError(
                .notFound,
                "there is no agent session '\(wanted.prefix(80))' in this workspace",
                field: "sessionId",
                remedy: Similarity.nearest(wanted, in: all.map(\.name)).map { "did you mean '\($0)'?" }
                    ?? "see 'berth session ls'"
            )
        }
        return found
    }

    private func agentSessionGet(_ context: RequestContext) async throws -> HTTPResponse {
        let (workspace, link) = try await sessionLink(context, wakes: false)
        return try Self.json(try await session(context, workspace, link))
    }

    /// Everything that somebody does with a session.
    private func agentSessionDo(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await housed(context)
        var deed = SessionDeed.Deed()
        let limit = configuration.maximumBodyBytes
        var status = 202
        switch context.route.id {
        case .agentSessionSend:
            let body: SendMessage = try await context.body(limit: limit)
            deed.send = .init(id: body.id ?? ids.make(SessionMessageKind.self), text: body.text)
        case .agentSessionWithdraw:
            deed.withdraw = try context.id("messageId")
            status = 200
        case .agentSessionAnswer:
            let body: AnswerRequest = try await context.body(limit: limit)
            deed.answer = .init(
                requestId: context.parameter("requestId"),
                answer: SessionAnswer(body.decision, answers: body.answers, message: body.message)
            )
            status = 200
        case .agentSessionInterrupt: deed.interrupt = ServiceDone()
        case .agentSessionChange:
            let body: ChangeAgentSession = try await context.body(limit: limit)
            deed.change = .init(model: body.model, permissionMode: body.permissionMode)
            status = 200
        case .agentSessionStop: deed.stop = ServiceDone()
        default: deed.remove = ServiceDone()
        }
        let (workspace, link) = (found.workspace, try await channels(of: found))
        let known = try await session(context, workspace, link)
        let session = try await link.call(SessionDeed(id: known.id, deed), until: time.uptime + Self.callTime)
        return try Self.json(session, status: status)
    }

    /// Whether a request for a session's events stays for those that come.
    static func follows(_ context: RequestContext) -> Bool {
        context.request.queryValue("follow") == nil || context.flag("follow")
    }

    /// Who follows wants the environment to run; who reads what is there does not, and neither does a connection that is
    /// only taken up again: whoever stopped the environment did so with that one open.
    static func wantsToRun(_ context: RequestContext) -> Bool {
        follows(context) && !context.request.headers.contains("last-event-id")
    }

    private func agentSessionEvents(_ context: RequestContext) async throws -> HTTPResponse {
        let follows = Self.follows(context)
        let resumed = try context.request.headers["last-event-id"].map { text throws(BerthError) in
            guard let number = Int64(text), number >= 0 else {
                throw BerthError(.invalidValue, "'\(text.prefix(40))' is no position", field: "Last-Event-ID")
            }
            return number
        }
        let after = try resumed ?? context.integer("after", default: 0)
        let (workspace, link) = try await sessionLink(context, wakes: Self.wantsToRun(context))
        let known = try await session(context, workspace, link)
        let stream = try await link.stream(
            SessionAttachment(id: known.id, after: after, follows: follows),
            until: time.uptime + Self.callTime
        )
        let key = try context.principal.keyID
        guard context.request.asksForWebSocket else {
            return HTTPResponse(
                headers: ["cache-control": "no-store"],
                body: .events { [self] writer in
                    sessions.add(writer, key: key)
                    var lines = SessionLines()
                    while let bytes = try await stream.read() {
                        let block = lines.events(bytes)
                        if !block.isEmpty { try await writer.write(block) }
                    }
                }
            )
        }
        var settings = WebSocketConfiguration()
        // Nothing is expected from the viewer.
        settings.maximumMessageBytes = 4096
        return HTTPResponse(
            status: 101,
            body: .webSocket(subprotocol: nil, configuration: settings) { [self] socket in
                sessions.add(socket, key: key)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // What it says is dropped; its end is the end.
                    group.addTask { while try await socket.receive() != nil {} }
                    group.addTask {
                        var lines = SessionLines()
                        while let bytes = try await stream.read() {
                            for message in lines.messages(bytes) { try await socket.send(text: message) }
                        }
                        socket.close()
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        )
    }
}

/// The lines of a `SessionAttachment`, cut as they come, in the forms that clients get. Their JSON is passed on as it is.
struct SessionLines {
    private var rest: [UInt8] = []

    /// Calls `body` with each whole line's word, sequence and JSON.
    private mutating func take(
        _ bytes: [UInt8],
        _ body: (_ word: String, _ seq: String, _ json: ArraySlice<UInt8>) -> Void
    ) {
        let all = rest.isEmpty ? bytes : rest + bytes
        var start = 0
        while let end = all[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = all[start..<end]
            start = end + 1
            let word = line.prefix { $0 != UInt8(ascii: " ") }
            var json = line.dropFirst(word.count + 1)
            var seq: ArraySlice<UInt8> = []
            let name = String(decoding: word, as: UTF8.self)
            if name != "session" {
                seq = json.prefix { $0 != UInt8(ascii: " ") }
                json = json.dropFirst(seq.count + 1)
            }
            body(name, String(decoding: seq, as: UTF8.self), json)
        }
        rest = Array(all[start...])
    }

    mutating func events(_ bytes: [UInt8]) -> EventBlock {
        var encoder = EventEncoder()
        encoder.reserve(bytes.count + bytes.count / 8)
        take(bytes) { word, seq, json in
            switch word {
            case "event": encoder.append(event: word, id: seq, data: json)
            case "snapshot": encoder.append(event: word, data: Array("{\"seq\":\(seq)}".utf8))
            default: encoder.append(event: word, data: json)
            }
        }
        return encoder.finish()
    }

    mutating func messages(_ bytes: [UInt8]) -> [String] {
        var messages: [String] = []
        take(bytes) { word, seq, json in
            let value = word == "snapshot" ? seq : String(decoding: json, as: UTF8.self)
            messages.append("{\"\(word)\":\(value)}")
        }
        return messages
    }
}
