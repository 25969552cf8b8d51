import Base
import EventLoop
import Testing
import Transport

/// A worker that stands alone and speaks TCP channels, written from the protocol's words alone: hand-made JSON and bytes.
struct TunnelWorker {
    let socket: WebSocket
    let name: String

    static func connect(_ server: RunningServer, name: String = "w1", capabilities: String = #"["tcp"]"#) async throws
        -> TunnelWorker
    {
        let socket = try await server.http.webSocket(
            HTTPURL(server.url + "/v1/worker"),
            headers: ["authorization": "Bearer \(RunningServer.workerToken)"]
        )
        let worker = TunnelWorker(socket: socket, name: name)
        try await socket.send(
            text: #"{"type":"hello","workerId":"\#(name)","version":"0","capabilities":\#(capabilities),"#
                + #""protocol":1,"attempts":[]}"#
        )
        #expect(try await worker.hear()["type"]?.string == "ack")
        try await socket.send(text: #"{"type":"ready","slots":1}"#)
        return worker
    }

    /// The next text message.
    func hear() async throws -> JSONValue {
        guard case .text(let text)? = try await socket.receive() else {
            throw BerthError(.protocolViolation, "the connection ended, or a frame was not text")
        }
        return try JSONValue(parsing: Array(text.utf8))
    }

    /// The next `connect`: its channel and port.
    func asked() async throws -> (channel: UInt32, port: Int64) {
        let message = try await hear()
        #expect(message["type"]?.string == "connect")
        return (UInt32(message["channel"]?.integer ?? 0), message["port"]?.integer ?? 0)
    }

    func accept() async throws -> UInt32 {
        let channel = try await asked().channel
        try await socket.send(text: #"{"type":"connected","channel":\#(channel)}"#)
        return channel
    }

    func refuse(_ reason: String) async throws {
        let channel = try await asked().channel
        try await socket.send(text: #"{"type":"refused","channel":\#(channel),"reason":"\#(reason)"}"#)
    }

    struct Frame: Equatable {
        var kind: UInt8
        var channel: UInt32
        var number: Int64
        var payload: [UInt8] = []

        var bytes: [UInt8] {
            var bytes = [kind]
            withUnsafeBytes(of: channel.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
            return bytes + payload
        }
    }

    func send(_ kind: UInt8, _ channel: UInt32, _ number: Int, _ payload: [UInt8] = []) async throws {
        let frame = Frame(kind: kind, channel: channel, number: Int64(number), payload: payload)
        try await socket.send(binary: frame.bytes)
    }

    /// The next binary frame.
    func frame() async throws -> Frame {
        guard case .binary(let bytes)? = try await socket.receive(), bytes.count >= 13 else {
            throw BerthError(.protocolViolation, "the connection ended, or the next frame is no channel frame")
        }
        return Frame(
            kind: bytes[0],
            channel: bytes[1..<5].reduce(0) { $0 << 8 | UInt32($1) },
            number: Int64(bytes[5..<13].reduce(0) { $0 << 8 | UInt64($1) }),
            payload: Array(bytes[13...])
        )
    }
}

extension RunningServer {
    /// A viewer's WebSocket to a port of a worker that stands alone.
    func tunnel(_ worker: String = "w1", port: Int = 8080) async throws -> WebSocket {
        try await http.webSocket(
            HTTPURL(url + "/v1/workers/\(worker)/tcp?port=\(port)"),
            headers: ["authorization": "Bearer \(key.reveal())"]
        )
    }

    /// The answer to a handshake that is refused.
    func refusedTunnel(_ target: String) async throws -> (status: Int, headers: HTTPHeaders, body: JSONValue?) {
        try await request(
            "GET",
            target,
            headers: [
                "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            ]
        )
    }
}
