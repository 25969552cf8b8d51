public import API
import Base
import EventLoop
import Transport

/// Which changes to follow. Empty lists ask for everything.
public struct ChangeQuery: Sendable {
    /// Beginnings of types, such as `execution.`.
    public var types: [String] = []
    /// Ids of the things that changed.
    public var subjects: [String] = []
    /// Nouns, such as `environment`.
    public var kinds: [String] = []

    public init(types: [String] = [], subjects: [String] = [], kinds: [String] = []) {
        self.types = types
        self.subjects = subjects
        self.kinds = kinds
    }

    public var parameters: [(String, String)] {
        [("type", types), ("subject", subjects), ("kind", kinds)].filter { !$0.1.isEmpty }
            .map { ($0.0, $0.1.joined(separator: ",")) }
    }
}

/// One event of the organization's feed.
public struct ChangeEvent: Sendable {
    public enum Kind: Sendable {
        case change(Change)
        /// A row of the snapshot.
        case row(ChangeRow)
        /// The rows so far show everything up to here.
        case snapshot(Int64)
    }

    public var kind: Kind
    /// The event as one JSON object with its `event` name, for programs.
    public var json: [UInt8]
}

/// Follows the changes of an organization without missing one. A broken connection is taken up again behind the last
/// change, with waits between tries, through a restart of the server; one that breaks within a snapshot begins it anew, so
/// a `row` that comes again replaces the first. An answer that says no (`gone`, not allowed) ends it.
public struct ChangeEvents: ~Copyable {
    /// Where to begin.
    public enum Start: Sendable {
        /// With what comes.
        case now
        case after(Int64)
        /// With the present rows.
        case snapshot
    }

    private let client: BerthClient
    private let query: ChangeQuery
    private let start: Start
    /// Behind the last event that `next` returned; nil before the first.
    public private(set) var position: Int64?
    private var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10))
    private var failingSince: Uptime?
    private var body: IncomingBody.AsyncIterator?
    private var parser = EventStreamParser()
    private var ready: [ServerSentEvent] = []

    /// How long a server may be away before following gives up.
    private static let patience = Duration.seconds(300)

    init(client: BerthClient, query: ChangeQuery, start: Start) {
        self.client = client
        self.query = query
        self.start = start
        if case .after(let seq) = start { position = seq }
    }

    public mutating func next() async throws -> ChangeEvent {
        while true {
            if !ready.isEmpty {
                let event = ready.removeFirst()
                if let id = event.id.flatMap({ Int64($0) }) { position = id }
                guard let known = try Self.decode(event) else { continue }
                return known
            }
            do {
                if let bytes = try await read() {
                    ready = try parser.feed(bytes)
                    failingSince = nil
                    backoff.reset()
                } else {
                    body = nil
                }
            } catch {
                try await recover(from: error)
            }
        }
    }

    private mutating func read() async throws -> [UInt8]? {
        if body == nil {
            parser = EventStreamParser()
            var parameters = query.parameters
            if position == nil {
                // One who begins now begins at a place that it can come back to.
                if case .now = start { position = try await client.lastChange() }
                if case .snapshot = start { parameters.append(("snapshot", "true")) }
            }
            if let position { parameters.append(("after", "\(position)")) }
            let response = try await client.send(
                .changeList,
                [:],
                parameters,
                headers: ["accept": "text/event-stream"]
            )
            body = response.body.makeAsyncIterator()
        }
        return try await body?.next()
    }

    private mutating func recover(from error: any Error) async throws {
        body = nil
        ready = []
        guard let known = error as? BerthError,
            [.network, .unavailable, .timedOut].contains(known.code)
        else { throw error }
        let now = client.loop.time.uptime
        let since = failingSince ?? now
        failingSince = since
        guard now - since < Self.patience else { throw error }
        try await client.loop.time.wait(for: backoff.next(client.randomness))
    }

    private static func decode(_ event: ServerSentEvent) throws -> ChangeEvent? {
        let data = Array(event.data.utf8)
        let kind: ChangeEvent.Kind
        switch event.event {
        case "change": kind = .change(try JSONBody.decode(Change.self, from: data))
        case "row": kind = .row(try JSONBody.decode(ChangeRow.self, from: data))
        case "snapshot": kind = .snapshot(try JSONBody.decode(ChangePosition.self, from: data).sequence)
        default: return nil
        }
        return ChangeEvent(
            kind: kind,
            json: Array(#"{"event":"\#(event.event)","data":"#.utf8) + data + Array("}".utf8)
        )
    }
}

extension BerthClient {
    /// What changes in the organization from `start` on; goes on by itself when the connection breaks.
    public func changes(_ query: ChangeQuery = ChangeQuery(), from start: ChangeEvents.Start = .now) -> ChangeEvents {
        ChangeEvents(client: self, query: query, start: start)
    }

    /// Number of the organization's last change.
    public func lastChange() async throws -> Int64 {
        let page: ChangePage = try await call(.changeList, query: [("limit", "1")])
        return page.last
    }
}
