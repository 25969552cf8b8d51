import Base
import EventLoop
import TestSupport
import Testing

@testable import Transport

@Suite struct UpgradeTests {
    static let handshake =
        "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        + "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    /// A masked text frame, "hello", with a mask of zeros.
    static let frame: [UInt8] = [0x81, 0x85, 0, 0, 0, 0] + Array("hello".utf8)

    /// Asks somebody else before it says yes or no.
    static let guarded: HTTPHandler = { request in
        guard request.asksForWebSocket else { return .text("plain \(request.path)") }
        try await request.loop.time.wait(for: .milliseconds(20))
        guard request.headers["authorization"] == "Bearer right" else {
            return HTTPResponse(
                status: 401,
                headers: ["www-authenticate": "Bearer"],
                body: .bytes(Array("who are you?".utf8))
            )
        }
        return HTTPResponse(
            body: .webSocket(subprotocol: nil) { socket in
                while case .text(let text)? = try await socket.receive() { try await socket.send(text: text) }
            }
        )
    }

    @Test func `a refused upgrade is answered as plain HTTP and the connection goes on`() async throws {
        try await withServer(handler: Self.guarded) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            for _ in 0..<2 {
                try await peer.send(Self.handshake + "\r\n")
                let refusal = try await peer.read(until: "who are you?")
                #expect(refusal.hasPrefix("HTTP/1.1 401 ") && refusal.contains("www-authenticate: Bearer\r\n"))
                #expect(!refusal.contains("connection: close"))
                try await peer.send("GET /next HTTP/1.1\r\nhost: x\r\n\r\n")
                #expect(try await peer.read(until: "plain /next").hasPrefix("HTTP/1.1 200 "))
            }
            try await peer.send(Self.handshake + "authorization: Bearer right\r\n\r\n")
            #expect(try await peer.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            try await peer.send(Self.frame)
            #expect(try await peer.read(2 + 5) == [0x81, 0x05] + Array("hello".utf8))
            #expect(server.connectionCount == 1)
        }
    }

    @Test func `frames sent before the handshake is answered are not lost`() async throws {
        try await withServer(handler: Self.guarded) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send(
                Array((Self.handshake + "authorization: Bearer right\r\n\r\n").utf8) + Self.frame + Self.frame
            )
            let text = try await peer.read(until: "hello", times: 2)
            #expect(text.hasPrefix("HTTP/1.1 101 ") && text.ranges(of: "hello").count == 2)
        }
    }

    @Test(arguments: [1, 2, 1000])
    func `what comes behind a refused handshake is the next request, however it is cut`(size: Int) async throws {
        try await withServer(handler: Self.guarded) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            let next = "GET /next HTTP/1.1\r\nhost: x\r\n\r\n"
            try await peer.send(Self.handshake + "\r\n" + String(next.prefix(size)))
            var answers = try await peer.read(until: "who are you?")
            try await peer.send(String(next.dropFirst(size)))
            if !answers.contains("plain /next") { answers += try await peer.read(until: "plain /next") }
            #expect(answers.hasPrefix("HTTP/1.1 401 ") && answers.contains("who are you?HTTP/1.1 200 "))
            #expect(!answers.contains("connection: close"))
            // Frames of a client that did not wait for the answer are no request.
            try await peer.send(Array((Self.handshake + "\r\n").utf8) + Self.frame)
            let text = try await peer.readAll()
            #expect(text.hasPrefix("HTTP/1.1 401 ") && text.contains("HTTP/1.1 400 Bad Request\r\n"))
            #expect(text.ranges(of: "HTTP/1.1 ").count == 2 && text.contains("connection: close\r\n"))
        }
    }

    @Test func `a handshake with a body is answered as the plain request it also is`() async throws {
        let handler: HTTPHandler = { request in
            .text("\(request.asksForWebSocket) \(try await request.body.collect(upTo: 10).count)")
        }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send(Self.handshake + "content-length: 5\r\n\r\nhello")
            #expect(try await peer.read(until: " 5").hasPrefix("HTTP/1.1 200 "))
            try await peer.send(HostileClientTests.get)
            #expect(try await peer.read(until: " 0").hasPrefix("HTTP/1.1 200 "))
        }
    }
}
