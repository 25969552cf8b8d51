import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct WebSocketHandshakeTests {
    static let good = [
        "upgrade: websocket", "connection: Upgrade", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version: 13",
    ]

    struct Request: Sendable, CustomTestStringConvertible {
        let status: Int
        let text: String

        /// A good handshake with one field replaced (nil: left out) or added.
        init(_ status: Int, _ index: Int? = nil, _ field: String? = nil, line: String = "GET / HTTP/1.1") {
            var fields = good
            if let index { fields.remove(at: index) }
            if let field { fields.append(field) }
            self.status = status
            text = ([line, "host: x"] + fields).map { "\($0)\r\n" }.joined() + "\r\n"
        }

        var testDescription: String { text }
    }

    static let requests: [Request] = [
        Request(101),
        Request(101, 0, "upgrade: h2c, WebSocket"),
        Request(101, 1, "connection: keep-alive,UPGRADE"),
        Request(101, nil, "sec-websocket-extensions: permessage-deflate; mystery"),
        Request(400, nil, "sec-websocket-extensions: a b"),
        Request(400, nil, "sec-websocket-extensions: permessage-deflate; server_max_window_bits=\""),
        Request(426, 0, "upgrade: h2c"),
        Request(426, 0),
        Request(426, 1, "connection: keep-alive"),
        Request(426, 2, "sec-websocket-key: c2hvcnQ="),
        Request(426, 2, "sec-websocket-key: not base64 at all!!!"),
        Request(426, 2),
        Request(426, nil, good[2]),
        Request(426, 3, "sec-websocket-version: 8"),
        Request(426, 3, "sec-websocket-version: 13, 8"),
        Request(426, 3),
        Request(426, line: "POST / HTTP/1.1"),
        Request(426, line: "GET / HTTP/1.0"),
    ]

    @Test(arguments: requests)
    func `only a valid handshake is accepted`(request: Request) async throws {
        try await withServer(handler: WebSocketTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(request.text)
            let answer = try await peer.receive(until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(request.status) "), "\(answer)")
            if request.status == 426 { #expect(answer.contains("sec-websocket-version: 13\r\n")) }
            if request.status == 101 {
                #expect(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
                #expect(!answer.contains("sec-websocket-extensions"))
            }
        }
    }

    @Test func `a subprotocol is granted only to who asked for it`() async throws {
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: "b") { socket in
                    try await socket.send(text: socket.subprotocol ?? "none")
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            for (asked, granted) in [("a, b", "b"), ("b", "b"), ("B", nil), ("a,bb", nil), (nil, nil)]
                as [(String?, String?)]
            {
                var headers = HTTPHeaders()
                if let asked { headers.set("sec-websocket-protocol", asked) }
                let socket = try await HTTPClient(loop: loop).webSocket(address.url(), headers: headers)
                #expect(socket.subprotocol == granted)
                #expect(try await socket.receive() == .text(granted ?? "none"))
            }
        }
    }

    @Test func `frames that come with the handshake are not lost, on either side`() async throws {
        try await withServer(handler: WebSocketTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(Array(RawFrame.handshake.utf8) + RawFrame.text("early"))
            let frames = try await peer.receive(frames: 1)
            #expect(frames.map(\.first) == [0x81] && frames.first?.payload == Array("early".utf8))
        }
        try await withRawServer(behind: RawFrame.make(0x81, Array("early".utf8), mask: nil)) { socket, _ in
            let message = try await socket.receive()
            #expect(message == .text("early"))
        }
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200 OK", [:]),
            ("HTTP/1.1 101 Switching Protocols", ["upgrade": "h2c"]),
            ("HTTP/1.1 101 Switching Protocols", ["connection": "keep-alive"]),
            ("HTTP/1.1 101 Switching Protocols", ["sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
            ("HTTP/1.1 101 Switching Protocols", ["sec-websocket-extensions": "mystery"]),
            ("HTTP/1.1 101 Switching Protocols", ["sec-websocket-extensions": "permessage-deflate"]),
            ("HTTP/1.1 101 Switching Protocols", ["sec-websocket-extensions": "a b"]),
            ("HTTP/1.1 101 Switching Protocols", ["sec-websocket-protocol": "unasked"]),
        ] as [(String, [String: String])]
    )
    func `a client takes no answer that is not valid`(status: String, fields: [String: String]) async throws {
        await #expect {
            try await withRawServer(status: status, answer: fields) { _, _ in }
        } throws: {
            ($0 as? BerthError)?.code == .protocolViolation
        }
    }
}
