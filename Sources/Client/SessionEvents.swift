import API
import Base
public import Domain
import EventLoop
import Transport

/// One thing that a follower of an agent session is told.
public struct SessionNews: Sendable {
    public enum Kind: Sendable {
        /// As it is now.
        case session(AgentSession)
        case event(SessionEvent)
        /// What was there when following began has been told, up to this sequence.
        case snapshot(Int64)
        /// Events that are kept no longer.
        case gap(ClosedRange<Int64>)
    }

    public var kind: Kind
    /// The news as one JSON object with its `event` name, for programs.
    public var json: [UInt8]
}

/// Follows an agent session without missing an event. A broken connection is taken up again behind the last one, with
/// waits between tries, through restarts of server and worker; an answer that says no (not found, not allowed) ends it.
public struct SessionEvents: ~Copyable {
    private let client: BerthClient
    private let path: [String: String]
    private let follows: Bool
    private let whenAway: @Sendable () -> Void
    private let start: Int64
    /// Behind the last event that `next` returned; nil before the first.
    public private(set) var position: Int64?
    private var hasToldSnapshot = false
    private var backoff = Backoff(first: .milliseconds(50), limit: .seconds(5))
    private var failingSince: Uptime?
    private var body: IncomingBody.AsyncIterator?
    private var parser = EventStreamParser()
    private var ready: ArraySlice<ServerSentEvent> = []

    /// How long a server or a worker may be away before following gives up.
    private static let patience = Duration.seconds(300)

    init(
        client: BerthClient,
        path: [String: String],
        from start: Int64,
        follows: Bool,
        whenAway: @escaping @Sendable () -> Void
    ) {
        self.client = client
        self.path = path
        self.start = start
        self.follows = follows
        self.whenAway = whenAway
    }

    /// nil at the end of what does not follow.
    public mutating func next() async throws -> SessionNews? {
        while true {
            if let event = ready.popFirst() {
                if let id = event.id.flatMap({ Int64($0) }), event.event == "event" { position = id }
                guard let news = try Self.decode(event) else { continue }
                if case .snapshot = news.kind {
                    // Told once, however often the connection is made.
                    if hasToldSnapshot { continue }
                    hasToldSnapshot = true
                }
                return news
            }
            if hasToldSnapshot, !follows { return nil }
            do {
                if let bytes = try await read() {
                    ready = try parser.feed(bytes)[...]
                    failingSince = nil
                    backoff.reset()
                } else {
                    body = nil
                    if !hasToldSnapshot || follows { throw BerthError(.unavailable, "the connection was lost") }
                }
            } catch {
                try await recover(from: error)
            }
        }
    }

    private mutating func read() async throws -> [UInt8]? {
        if body == nil {
            parser = EventStreamParser()
            let query = [("after", "\(start)"), ("follow", follows ? "true" : "false")]
            var headers = HTTPHeaders()
            // Says that this is no new wish to have the environment run.
            if let position { headers.set("last-event-id", "\(position)") }
            body = try await client.send(.agentSessionEvents, path, query, headers: headers).body.makeAsyncIterator()
        }
        return try await body?.next()
    }

    private mutating func recover(from error: any Error) async throws {
        body = nil
        ready = []
        guard let known = error as? BerthError, [.network, .unavailable, .timedOut].contains(known.code) else {
            throw error
        }
        let now = client.loop.time.uptime
        if failingSince == nil {
            failingSince = now
            whenAway()
        }
        guard now - (failingSince ?? now) < Self.patience else { throw error }
        try await client.loop.time.wait(for: backoff.next(client.randomness))
    }

    private static func decode(_ event: ServerSentEvent) throws -> SessionNews? {
        let data = Array(event.data.utf8)
        let kind: SessionNews.Kind
        switch event.event {
        case "session": kind = .session(try JSONBody.decode(AgentSession.self, from: data))
        case "event": kind = .event(try JSONBody.decode(SessionEvent.self, from: data))
        case "snapshot": kind = .snapshot(try JSONBody.decode(Snapshot.self, from: data).seq)
        case "gap":
            let gap = try JSONBody.decode(Gap.self, from: data)
            guard gap.from <= gap.to else { return nil }
            kind = .gap(gap.from...gap.to)
        default: return nil
        }
        return SessionNews(
            kind: kind,
            json: Array(#"{"event":"\#(event.event)","data":"#.utf8) + data + Array("}".utf8)
        )
    }

    private struct Snapshot: Codable { var seq: Int64 }
    private struct Gap: Codable { var from, to: Int64 }
}

extension BerthClient {
    /// - Parameters:
    ///   - session: id, or the name of one that was not stopped.
    ///   - start: only events behind this sequence; negative: the last so many.
    ///   - follows: false ends after what is there.
    ///   - whenAway: called once for each time that the connection was lost.
    public func sessionEvents(
        workspace: String,
        session: String,
        from start: Int64 = 0,
        follows: Bool = true,
        whenAway: @escaping @Sendable () -> Void = {}
    ) -> SessionEvents {
        SessionEvents(
            client: self,
            path: ["workspaceId": workspace, "sessionId": session],
            from: start,
            follows: follows,
            whenAway: whenAway
        )
    }
}
