public import EventLoop

/// An answer. The server adds the framing fields (`content-length`, `transfer-encoding`, `connection`, `date`).
public struct HTTPResponse: Sendable {
    public enum Body: Sendable {
        case bytes([UInt8])
        /// The closure writes the body and returns at its end; an error cuts the response short so that the client
        /// sees it. `length` is the exact number of bytes if known.
        case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
        /// A file, or the given part of it; nil: whatever part the client asks for. Several parts at once are answered
        /// with the whole.
        case file(OpenFile, Range<Int64>? = nil)
        /// Server-sent events (WHATWG HTML, section 9.2). Comments keep the connection alive in quiet times.
        case events(@Sendable (EventWriter) async throws -> Void)
        /// Accepts a WebSocket handshake; the connection closes when the closure returns (1000) or throws (1011).
        /// `subprotocol` is granted if the client asked for it; a `configuration` replaces the server's own.
        case webSocket(
            subprotocol: String?,
            configuration: WebSocketConfiguration? = nil,
            @Sendable (WebSocket) async throws -> Void
        )
        /// Accepts a WebSocket handshake, moves the connection to `loop` and hands the socket over there, before
        /// anything is read: whoever takes it gives it a sink (``WebSocket/deliver(to:)``) and closes it. No task stays
        /// behind.
        case webSocketHandOver(
            to: EventLoop,
            configuration: WebSocketConfiguration? = nil,
            @Sendable (WebSocket) -> Void
        )
    }

    public var status: Int
    public var headers: HTTPHeaders
    public var body: Body
    /// Set by ``prepared(for:)``.
    var isPrepared = false
    var isGzipped = false

    public init(status: Int = 200, headers: HTTPHeaders = HTTPHeaders(), body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public static func text(_ text: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: ["content-type": "text/plain; charset=utf-8"],
            body: .bytes(Array(text.utf8))
        )
    }

    public static func json(_ bytes: [UInt8], status: Int = 200) -> HTTPResponse {
        // With room for what most answers add: an entity tag and the request's id.
        var headers = HTTPHeaders(fields: 4, bytes: 128)
        headers.add("content-type", "application/json")
        return HTTPResponse(status: status, headers: headers, body: .bytes(bytes))
    }
}
