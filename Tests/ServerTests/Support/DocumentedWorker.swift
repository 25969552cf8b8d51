import Base
import EventLoop
import Testing
import Transport

/// A worker written from seed 004, section 1.2, alone: hand-written JSON with exactly the documented fields, none of
/// Berth's own types.
struct DocumentedWorker {
    let socket: WebSocket
    let id: String

    static func connect(
        to url: String,
        token: String,
        id: String,
        client: HTTPClient,
        inQuery: Bool = false
    ) async throws -> DocumentedWorker {
        let place = inQuery ? "/?token=\(token)" : "/v1/worker"
        let socket = try await client.webSocket(
            HTTPURL(url + place),
            headers: inQuery ? HTTPHeaders() : ["authorization": "Bearer \(token)"]
        )
        return DocumentedWorker(socket: socket, id: id)
    }

    /// Connected to `server` as `w1`, past hello and ack.
    static func introduced(to server: RunningServer) async throws -> DocumentedWorker {
        let worker = try await connect(
            to: server.url,
            token: RunningServer.workerToken,
            id: "w1",
            client: server.http
        )
        _ = try await worker.introduce()
        return worker
    }

    /// hello → ack.
    func introduce() async throws -> JSONValue {
        try await say(
            #"{"type":"hello","workerId":"\#(id)","version":"0.1.0","capabilities":["claude-cli","node","git"]}"#
        )
        return try await hear("ack")
    }

    func ready() async throws { try await say(#"{"type":"ready"}"#) }

    func stdout(_ execution: String, _ chunk: String) async throws {
        try await say(
            #"{"type":"stdout","executionId":"\#(execution)","chunk":\#(JSONText.quoted(chunk)),"timestamp":1771000000000}"#
        )
    }

    func complete(_ execution: String, status: String = "completed", exitCode: Int = 0) async throws {
        try await say(
            #"{"type":"complete","executionId":"\#(execution)","status":"\#(status)","exitCode":\#(exitCode),"durationMs":12}"#
        )
    }

    func say(_ text: String) async throws { try await socket.send(text: text) }

    /// The next message, which must be of this type.
    func hear(_ type: String) async throws -> JSONValue {
        guard case .text(let text)? = try await socket.receive() else {
            throw BerthError(.protocolViolation, "the connection ended, or a frame was not text")
        }
        let message = try JSONValue(parsing: Array(text.utf8))
        #expect(message["type"]?.string == type)
        return message
    }
}
