import API
import Base
import Database
import Domain
import Transport

/// `/v1/changes`: a page as JSON, or a stream, as server-sent events or over a WebSocket.
extension ServerCore {
    func changeList(_ context: RequestContext) async throws -> HTTPResponse {
        let filter = try Self.changeFilter(context)
        if context.request.asksForWebSocket { return try await changeSocket(context, filter) }
        let accepted = context.request.headers.tokens("accept")
        if accepted.contains(where: { $0.hasPrefix("text/event-stream") }) {
            return try await changeEvents(context, filter)
        }
        guard !context.flag("snapshot") else {
            throw BerthError(
                .invalidValue,
                "a snapshot is the start of a stream",
                field: "snapshot",
                remedy: "ask for it with 'Accept: text/event-stream' or a WebSocket"
            )
        }
        return try await changePage(context, filter)
    }

    private func changePage(_ context: RequestContext, _ filter: ChangeFilter) async throws -> HTTPResponse {
        let principal = try context.principal
        let organization = principal.organizationID
        let bounds = try await feed.bounds(organization)
        let start = try context.integer("after", default: bounds.oldest - 1)
        let limit = Int(try context.integer("limit", default: 100))
        let deadline = time.uptime + .milliseconds(try context.integer("waitMs", default: 0))
        let choice = ChangeChoice(filter: filter, user: principal.visibleUser, form: .webSocket)
        var after = start
        var changes: [Change] = []
        var scanned = 0
        while changes.count < limit, scanned < Self.longestScan {
            let events = try await feed.next(organization, after: after, limit: max(limit, 500))
            if events.isEmpty {
                guard changes.isEmpty, time.uptime < deadline else { break }
                try await waitForChange(organization, after: after, atMost: deadline - time.uptime)
                continue
            }
            for event in events where changes.count < limit {
                after = event.seq
                scanned += 1
                if choice.shows(event) { changes.append(Change(event)) }
            }
        }
        let last = max(bounds.last, after)
        return try Self.json(ChangePage(changes: changes, nextAfter: after, oldest: bounds.oldest, last: last))
    }

    /// Events that one page may pass over; the next one goes on there.
    private static let longestScan = 20_000

    private func changeEvents(_ context: RequestContext, _ filter: ChangeFilter) async throws -> HTTPResponse {
        let principal = try context.principal
        let start = try await changeStart(context)
        let follows = context.request.queryValue("follow") == nil || context.flag("follow")
        let choice = ChangeChoice(filter: filter, user: principal.visibleUser, form: .serverSentEvents)
        return HTTPResponse(
            headers: ["cache-control": "no-store"],
            body: .events { [self] writer in
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                let seat = try changes.enter(principal.organizationID, loop: writer.loop)
                defer { seat.leave() }
                let viewer = ChangeViewer(
                    feed: feed,
                    organization: principal.organizationID,
                    choice: choice,
                    sink: writer
                )
                try await viewer.run(after: start.after, snapshot: start.snapshot, tail: follows ? seat.tail : nil)
            }
        )
    }

    private func changeSocket(_ context: RequestContext, _ filter: ChangeFilter) async throws -> HTTPResponse {
        let principal = try context.principal
        let start = try await changeStart(context)
        let choice = ChangeChoice(filter: filter, user: principal.visibleUser, form: .webSocket)
        var settings = WebSocketConfiguration()
        // Nothing is expected from the viewer.
        settings.maximumMessageBytes = 4096
        return HTTPResponse(
            status: 101,
            body: .webSocket(subprotocol: nil, configuration: settings) { [self] socket in
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                let seat = try changes.enter(principal.organizationID, loop: socket.loop)
                defer { seat.leave() }
                let viewer = ChangeViewer(
                    feed: feed,
                    organization: principal.organizationID,
                    choice: choice,
                    sink: WebSocketChangeSink(socket: socket)
                )
                do {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            // What it says is dropped; its end is the end.
                            while try await socket.receive() != nil {}
                        }
                        group.addTask {
                            try await viewer.run(after: start.after, snapshot: start.snapshot, tail: seat.tail)
                        }
                        defer { group.cancelAll() }
                        try await group.next()
                    }
                } catch let error as BerthError where error.code == .unavailable {
                    socket.close(code: .serviceRestart, reason: error.message)
                } catch let error as BerthError where error.code == .gone {
                    socket.close(code: WebSocketCloseCode(rawValue: 4410), reason: error.message)
                }
            }
        )
    }

    /// Where a stream begins; what cannot be is refused before it does.
    private func changeStart(_ context: RequestContext) async throws -> (after: Int64, snapshot: ChangeSnapshot?) {
        let organization = try context.principal.organizationID
        let resumed = try context.request.headers["last-event-id"].map { text throws(BerthError) in
            guard let number = Int64(text), number >= 0 else {
                throw BerthError(.invalidValue, "'\(text.prefix(40))' is no position", field: "Last-Event-ID")
            }
            return number
        }
        // Who comes back has its rows.
        if resumed == nil, context.flag("snapshot") {
            return (0, ChangeSnapshot(snapshotSources, try Self.changeFilter(context)))
        }
        guard resumed != nil || context.text("after") != nil else {
            return (try await feed.position(organization), nil)
        }
        let after = try resumed ?? context.integer("after", default: 0)
        _ = try await feed.next(organization, after: after, limit: 1)
        return (after, nil)
    }

    private static func changeFilter(_ context: RequestContext) throws(BerthError) -> ChangeFilter {
        func list(_ name: String) throws(BerthError) -> [String] {
            let words = (context.text(name) ?? "").split(separator: ",").map(String.init)
            guard words.count <= 100 else {
                throw BerthError(.invalidValue, "\(words.count) are too many", field: name, remedy: "100 at most")
            }
            return words
        }
        return ChangeFilter(types: try list("type"), subjects: try list("subject"), kinds: try list("kind"))
    }
}

extension Change {
    init(_ event: Event) {
        self.init(
            sequence: event.seq,
            type: event.type,
            subject: event.subject,
            payload: (try? JSONValue(parsing: event.payload.utf8)) ?? .string(event.payload),
            at: event.at
        )
    }
}
