public import API
import Base
public import Domain
import EventLoop
import FoundationEssentials
import Transport

/// One event of an execution's stream.
public struct ExecutionEvent: Sendable {
    public enum Kind: Sendable {
        case state(StateEvent)
        case progress(ProgressEvent)
        case agent(AgentEvent)
        /// `offset` counts stored bytes.
        case output(OutputStream, offset: Int64, bytes: [UInt8])
        case end(Execution)
    }

    public var kind: Kind
    /// The event as one JSON object with its `event` name, for programs.
    public var json: [UInt8]
}

/// Follows an execution. A broken connection is taken up again at the last event, with waits between tries, through a
/// restart of the server; an answer that says no (not found, not allowed) ends it.
public struct ExecutionEvents: ~Copyable {
    private let client: BerthClient
    private let id: ExecutionID
    private let streams: String
    private let isRaw: Bool
    private let follows: Bool
    private let whenAway: (@Sendable () -> Void)?
    private var hasToldAway = false
    /// Behind the last event that `next` returned.
    public private(set) var position: StreamPosition
    private var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10))
    private var failingSince: Uptime?
    private var body: IncomingBody.AsyncIterator?
    private var parser = EventStreamParser()
    private var ready: [ServerSentEvent] = []
    private var hasEnded = false

    /// How long a server may be away before following gives up.
    private static let patience = Duration.seconds(300)
    /// A shorter absence, such as a restart, is not worth a word.
    private static let quietly = Duration.seconds(2)

    init(
        client: BerthClient,
        id: ExecutionID,
        streams: String,
        isRaw: Bool,
        follows: Bool,
        position: StreamPosition,
        whenAway: (@Sendable () -> Void)?
    ) {
        self.client = client
        self.id = id
        self.streams = streams
        self.isRaw = isRaw
        self.follows = follows
        self.position = position
        self.whenAway = whenAway
    }

    /// nil after the end, or, when not following, after what is stored.
    public mutating func next() async throws -> ExecutionEvent? {
        while !hasEnded {
            if !ready.isEmpty {
                let event = ready.removeFirst()
                if let id = event.id { position = try StreamPosition(id) }
                guard let known = try Self.decode(event) else { continue }
                if case .end = known.kind { hasEnded = true }
                return known
            }
            do {
                guard let bytes = try await read() else {
                    body = nil
                    if !follows {
                        hasEnded = true
                        return nil
                    }
                    continue
                }
                ready = try parser.feed(bytes)
                if !ready.isEmpty {
                    failingSince = nil
                    hasToldAway = false
                    backoff.reset()
                }
            } catch {
                try await recover(from: error)
            }
        }
        return nil
    }

    private mutating func read() async throws -> [UInt8]? {
        if body == nil {
            parser = EventStreamParser()
            var query = [("streams", streams)]
            if isRaw { query.append(("raw", "true")) }
            if !follows { query.append(("follow", "false")) }
            let response = try await client.send(
                .executionEvents,
                ["executionId": id.text],
                query,
                headers: ["last-event-id": position.description, "accept": "text/event-stream"]
            )
            body = response.body.makeAsyncIterator()
        }
        return try await body?.next()
    }

    private mutating func recover(from error: any Error) async throws {
        body = nil
        guard let known = error as? BerthError,
            [.network, .unavailable, .timedOut].contains(known.code)
        else { throw error }
        client.leaveServer()
        let now = client.loop.time.uptime
        let since = failingSince ?? now
        failingSince = since
        guard now - since < Self.patience else { throw error }
        if now - since >= Self.quietly, !hasToldAway {
            hasToldAway = true
            whenAway?()
        }
        try await client.loop.time.wait(for: backoff.next(client.randomness))
    }

    private static func decode(_ event: ServerSentEvent) throws -> ExecutionEvent? {
        let data = Array(event.data.utf8)
        let kind: ExecutionEvent.Kind
        switch event.event {
        case "state": kind = .state(try JSONBody.decode(StateEvent.self, from: data))
        case "progress": kind = .progress(try JSONBody.decode(ProgressEvent.self, from: data))
        case "agent": kind = .agent(try JSONBody.decode(AgentEvent.self, from: data))
        case "stdout", "stderr":
            let output = try JSONBody.decode(OutputEvent.self, from: data)
            let bytes =
                output.text.map { Array($0.utf8) }
                ?? output.base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
            kind = .output(event.event == "stdout" ? .stdout : .stderr, offset: output.offset, bytes: bytes ?? [])
        case "end": kind = .end(try JSONBody.decode(Execution.self, from: data))
        default: return nil
        }
        return ExecutionEvent(
            kind: kind,
            json: Array(#"{"event":"\#(event.event)","data":"#.utf8) + data + Array("}".utf8)
        )
    }
}
