import Base
import EventLoop
import TestSupport
import Testing

@testable import Transport

/// Our client against servers not written here: Python's `websockets` and Node's `ws`.
@Suite struct ForeignServerTests {
    /// A server of `library` with its ports by the way it compresses.
    private func withForeignServer(
        _ library: ForeignProgram.Library,
        _ body: (EventLoop, Ports) async throws -> Void
    ) async throws {
        let server = try ForeignProgram(library, "websocket_server")
        let line = try await server.process.line(containing: "{")
        let ports = Ports(value: try JSONValue(parsing: line.utf8))
        try await withLoop { loop in try await body(loop, ports) }
        server.process.closeInput()
        _ = try await server.process.exit(within: .seconds(20))
    }

    private struct Ports {
        let value: JSONValue

        func open(
            _ path: String,
            on loop: EventLoop,
            kind: String = "plain",
            _ change: (inout WebSocketConfiguration) -> Void = { _ in }
        ) async throws -> WebSocket {
            var configuration = WebSocketConfiguration()
            configuration.maximumMessageBytes = 4 << 20
            change(&configuration)
            let port = try #require(value[kind]?.integer)
            let url = HTTPURL(endpoint: .tcp(host: "127.0.0.1", port: Int(port)), target: path)
            return try await HTTPClient(loop: loop).webSocket(url, configuration: configuration)
        }

        /// How the server saw the connection before end.
        func last(on loop: EventLoop) async throws -> String? {
            let socket = try await open("/last", on: loop)
            guard case .text(let text) = try await socket.receive() else { return nil }
            while try await socket.receive() != nil {}
            return text
        }
    }

    private func checkEcho(_ socket: WebSocket) async throws {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 300_000] {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try await socket.send(binary: bytes)
            #expect(try await socket.receive() == .binary(bytes))
            let text = String(String(repeating: "grüß dich, 世界 ", count: length / 12 + 1).prefix(length))
            try await socket.send(text: text)
            #expect(try await socket.receive() == .text(text))
        }
    }

    @Test(arguments: ForeignProgram.Library.allCases)
    func `messages, fragments and control frames go both ways`(library: ForeignProgram.Library) async throws {
        try await withForeignServer(library) { loop, ports in
            try await checkEcho(ports.open("/echo", on: loop) { $0.compression = nil })
            try await checkEcho(ports.open("/echo", on: loop) { $0.fragmentBytes = 1000 })
            let socket = try await ports.open("/fragments", on: loop)
            #expect(try await socket.receive() == .text("fragmented"))
            #expect(try await socket.receive() == .text("pong"))
            // Its pongs are all that comes, and they keep the connection.
            let pinging = try await ports.open("/echo", on: loop) {
                $0.pingInterval = .milliseconds(20)
                $0.pongTimeout = .seconds(5)
            }
            let start = try await loop.run { pinging.lastReceived }
            try await withDeadline(.seconds(20), time: SystemTime(), what: "pongs") {
                while try await loop.run({ pinging.lastReceived }) < start + .milliseconds(200) {
                    try await loop.time.wait(for: .milliseconds(5))
                }
            }
            #expect(await pinging.end() == nil)
        }
    }

    @Test(arguments: ForeignProgram.Library.allCases)
    func `closes are understood both ways`(library: ForeignProgram.Library) async throws {
        try await withForeignServer(library) { loop, ports in
            let closed = try await ports.open("/close", on: loop)
            #expect(try await closed.receive() == nil)
            guard case .closed(let code?, "grüß") = try await closed.ended() else { return #expect(Bool(false)) }
            #expect(code.rawValue == 4001)
            #expect(try await ports.last(on: loop) == "4001")

            let closing = try await ports.open("/echo", on: loop)
            closing.close(code: .init(rawValue: 3001), reason: "grüß dich")
            guard case .closed(let answer?, _) = try await closing.ended() else { return #expect(Bool(false)) }
            #expect(answer.rawValue == 3001)
            #expect(try await ports.last(on: loop) == "3001 grüß dich")

            let silent = try await ports.open("/echo", on: loop)
            silent.close(code: nil)
            guard case .closed(nil, "") = try await silent.ended() else { return #expect(Bool(false)) }
            #expect(try await ports.last(on: loop) == "1005")

            let late = try await ports.open("/data-after-close", on: loop)
            #expect(try await late.receive() == nil)
            guard case .closed(.normal, "") = try await late.ended() else { return #expect(Bool(false)) }
            #expect(try await ports.last(on: loop) == "1000")
        }
    }

    @Test(arguments: ForeignProgram.Library.allCases)
    func `what a server does wrong it is told`(library: ForeignProgram.Library) async throws {
        try await withForeignServer(library) { loop, ports in
            for (path, end) in [
                ("/utf8", "1007 a text message is not UTF-8"),
                ("/utf8-fragments", "1007 a text message is not UTF-8"),
                ("/oversize", "1009 a message is longer than 65536 bytes"),
                ("/oversize-fragments", "1009 a message is longer than 65536 bytes"),
                ("/reserved", "1002 a reserved bit is set"),
                ("/opcode", "1002 unknown opcode 3"),
                ("/masked", "1002 a server's frame is masked"),
                ("/long-ping", "1002 a control frame is too long"),
                ("/compressed", "1002 a reserved bit is set"),
                ("/bad-close", "1002 close code 1005 may not be sent"),
            ] {
                let socket = try await ports.open(path, on: loop) { $0.maximumMessageBytes = 65536 }
                await #expect(throws: BerthError.self, "\(path)") { _ = try await socket.receive() }
                #expect(try await ports.last(on: loop) == end, "\(path)")
            }
            let bomb = try await ports.open("/bomb", on: loop, kind: "context") {
                $0.maximumMessageBytes = 65536
                $0.compression?.keepsContext = true
            }
            await #expect {
                _ = try await bomb.receive()
            } throws: {
                ($0 as? BerthError)?.code == .tooLarge
            }
            #expect(try await ports.last(on: loop) == "1009 a message is longer than 65536 bytes")
        }
    }

    @Test(arguments: ForeignProgram.Library.allCases)
    func `compression is agreed on in every way`(library: ForeignProgram.Library) async throws {
        try await withForeignServer(library) { loop, ports in
            for (kind, keepsContext, bits, agreed) in [
                ("plain", false, 15, nil),
                ("context", true, 15, DeflateAgreement()),
                (
                    "context", false, 15,
                    DeflateAgreement(outgoing: .init(keepsContext: false), incoming: .init(keepsContext: false))
                ),
                ("context", true, 9, DeflateAgreement(outgoing: .init(windowBits: 9), incoming: .init(windowBits: 9))),
                (
                    "forgetting", true, 15,
                    DeflateAgreement(outgoing: .init(keepsContext: false), incoming: .init(keepsContext: false))
                ),
                (
                    "bits", true, 15,
                    DeflateAgreement(outgoing: .init(windowBits: 10), incoming: .init(windowBits: 9))
                ),
            ] as [(String, Bool, Int, DeflateAgreement?)] {
                let socket = try await ports.open("/echo", on: loop, kind: kind) {
                    $0.compression?.keepsContext = keepsContext
                    $0.compression?.windowBits = bits
                    $0.compression?.minimumBytes = 0
                    $0.compression?.compressesBinary = true
                    $0.fragmentBytes = 20_000
                }
                #expect(socket.agreement == agreed, "\(kind), \(keepsContext), \(bits)")
                try await checkEcho(socket)
                socket.close()
            }
        }
    }
}
