import API
import Base
import Domain
import Executions
import Transport
import WorkerProtocol

/// `/v1/executions`.
extension ServerCore {
    func executionCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let request: CreateExecution = try await context.body(limit: configuration.maximumBodyBytes)
        let record = try await launch(request, key: try context.idempotencyKey, by: try context.principal)
        return try Self.json(API.Execution(record), status: 201)
    }

    func executionList(_ context: RequestContext) async throws -> HTTPResponse {
        var filter = ExecutionFilter()
        if let status = context.text("status"), let state = ExecutionState(rawValue: status) { filter.states = [state] }
        if let environment = context.text("environment") { filter.environmentID = try EnvironmentID(environment) }
        let page = try await executions.list(
            filter,
            after: try context.text("cursor").map { try ExecutionID($0) },
            limit: Int(try context.integer("limit", default: 50)),
            by: try context.principal
        )
        return try Self.json(
            Page(items: page.executions.map(API.Execution.init), nextCursor: page.next?.text)
        )
    }

    func executionGet(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.get(try context.id("executionId"), by: try context.principal)
        return try Self.json(API.Execution(record))
    }

    func executionCancel(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.cancel(try context.id("executionId"), by: try context.principal)
        return try Self.json(API.Execution(record), status: 202)
    }

    /// What is stored now, up to `limit`; more than a piece is read as the client takes it, so a stalled one costs one.
    func executionOutput(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.get(try context.id("executionId"), by: try context.principal)
        let stream = context.text("stream").flatMap { Domain.OutputStream(rawValue: $0) } ?? .stdout
        let begin = try context.integer("offset", default: 0)
        let limit = try context.integer("limit", default: 4 << 20)
        let piece = Int64(ExecutionCursor.pieceBytes)
        let first = try await executions.output(of: record, stream, from: begin, limit: Int(min(limit, piece)))
        let headers: HTTPHeaders = [
            "content-type": "application/octet-stream", "berth-stored-bytes": "\(first.storedBytes)",
        ]
        let length = max(0, min(limit, first.storedBytes - begin))
        guard length > first.bytes.count else { return HTTPResponse(headers: headers, body: .bytes(first.bytes)) }
        let body = HTTPResponse.Body.stream(length: Int(length)) { [executions] writer in
            var rest = begin..<begin + length
            while !rest.isEmpty {
                let slice = try await executions.output(
                    of: record,
                    stream,
                    from: rest.lowerBound,
                    limit: Int(min(piece, rest.upperBound - rest.lowerBound))
                )
                guard !slice.bytes.isEmpty else {
                    throw BerthError(.internal, "stored output of \(record.id) ended before byte \(rest.upperBound)")
                }
                try await writer.write(slice.bytes)
                rest = rest.lowerBound + Int64(slice.bytes.count)..<rest.upperBound
            }
        }
        return HTTPResponse(headers: headers, body: body)
    }

    /// Answers when the execution has ended, or at the time limit with its state then.
    func executionWait(_ context: RequestContext) async throws -> HTTPResponse {
        let id: ExecutionID = try context.id("executionId")
        let principal = try context.principal
        let limit = try context.integer("timeoutMs", default: 60_000)
        return try Self.json(API.Execution(try await ended(id, by: principal, within: .milliseconds(limit))))
    }

    /// The execution once it has ended, or as it is at the time limit.
    func ended(_ id: ExecutionID, by principal: Principal, within limit: Duration) async throws -> ExecutionRecord {
        let bell = executions.bell(for: id)
        let deadline = time.uptime + limit
        while true {
            let count = bell.changes.count
            let record = try await executions.get(id, by: principal)
            if record.state.isTerminal || time.uptime >= deadline { return record }
            try await draining.wait { [time] in try await bell.changes.wait(after: count, until: deadline, time: time) }
        }
    }

    func executionEvents(_ context: RequestContext) async throws -> HTTPResponse {
        let id: ExecutionID = try context.id("executionId")
        let principal = try context.principal
        // Refusals come before the stream begins.
        let snapshot = try await executions.snapshot(
            id,
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        let choice = try Self.choice(context, snapshot.record.spec.agent)
        let follows = context.request.queryValue("follow") == nil || context.flag("follow")
        var position = StreamPosition.start
        if let text = context.request.headers["last-event-id"] ?? context.text("after") {
            position = try StreamPosition(text)
        }
        return executionStream(id, principal, choice, from: position, follows: follows)
    }

    func executionStream(
        _ id: ExecutionID,
        _ principal: Principal,
        _ choice: EventChoice,
        from position: StreamPosition = .start,
        follows: Bool = true
    ) -> HTTPResponse {
        HTTPResponse(
            headers: ["cache-control": "no-store"],
            body: .events { [followers, metrics, sessions] writer in
                sessions.add(writer, key: principal.keyID)
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                let seat = try followers.enter(id, principal.organizationID, choice, loop: writer.loop)
                var viewer = ExecutionViewer(seat, sink: writer, cursor: ExecutionCursor(choice, from: position))
                defer { viewer.leave() }
                try await viewer.run(follows: follows)
            }
        )
    }

    private static func choice(_ context: RequestContext, _ agent: AgentKind) throws(BerthError)
        -> EventChoice
    {
        var choice = EventChoice()
        choice.agent = agent == .claude
        choice.isRaw = context.flag("raw")
        guard let streams = context.text("streams") else { return choice }
        let names = streams.split(separator: ",").map(String.init)
        for name in names where !["stdout", "stderr", "agent"].contains(name) {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(40))' is not a stream",
                field: "streams",
                remedy: "allowed: stdout, stderr, agent"
            )
        }
        choice.stdout = names.contains("stdout")
        choice.stderr = names.contains("stderr")
        choice.agent = choice.agent && names.contains("agent")
        return choice
    }
}
