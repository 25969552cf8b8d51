internal import Base
internal import Synchronization

/// The events of one response, in order. When it ends or breaks, open another with ``lastEventID``.
public final class EventStream: AsyncSequence, Sendable {
    public typealias Element = ServerSentEvent

    public let headers: HTTPHeaders
    private let body: IncomingBody
    private let state: Mutex<State>

    private struct State {
        var parser: EventStreamParser
        var ready: [ServerSentEvent] = []
    }

    init(_ response: HTTPClientResponse, lastEventID: String?) {
        headers = response.headers
        body = response.body
        state = Mutex(State(parser: EventStreamParser(lastEventID: lastEventID)))
    }

    /// Where a new stream goes on.
    public var lastEventID: String? { state.withLock { $0.parser.lastEventID } }
    /// The wait before a reconnect that the server asked for.
    public var retry: Duration? { state.withLock { $0.parser.retryMs.map { .milliseconds($0) } } }

    /// The next event, nil when the server has ended the stream. One caller at a time.
    public func next() async throws -> ServerSentEvent? {
        while true {
            let event = state.withLock { $0.ready.isEmpty ? nil : $0.ready.removeFirst() }
            if let event { return event }
            guard let bytes = try await body.next() else { return nil }
            try state.withLock { state in state.ready = try state.parser.feed(bytes) }
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let stream: EventStream
        public func next() async throws -> ServerSentEvent? { try await stream.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }
}

extension HTTPClient {
    /// Opens a stream of server-sent events. Any other answer than 200 with `text/event-stream` is an error that
    /// carries what the server said.
    public func events(_ request: HTTPClientRequest, lastEventID: String? = nil) async throws -> EventStream {
        var request = request
        request.headers.set("accept", "text/event-stream")
        if let lastEventID { request.headers.set("last-event-id", lastEventID) }
        let response = try await send(request)
        guard response.status == 200, response.headers["content-type"]?.hasPrefix("text/event-stream") == true else {
            let text = (try? await response.body.collect(upTo: 64 * 1024)).map { String(decoding: $0, as: UTF8.self) }
            throw BerthError(
                Self.code(of: response.status),
                "the server answered \(response.status) instead of a stream of events",
                detail: text,
                isRetryable: response.status >= 500
            )
        }
        return EventStream(response, lastEventID: lastEventID)
    }

    static func code(of status: Int) -> ErrorCode {
        switch status {
        case 401: .unauthenticated
        case 403: .forbidden
        case 404: .notFound
        case 429: .quotaExceeded
        case 500...: .unavailable
        default: .protocolViolation
        }
    }
}
