import Base
import EventLoop
import FoundationEssentials
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Our server against clients not written here: Python's `websockets`, Node's `ws`, and Chromium.
@Suite struct ForeignClientTests {
    /// What each path of the server does; the scripts in `Tests/Support/Peers` know them by name.
    final class Paths: Sendable {
        let ends = Ends()
        let (reports, reported) = AsyncStream.makeStream(of: [UInt8].self)

        func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
            switch request.path {
            case "/":
                let page = try Data(contentsOf: URL(filePath: ScriptedPeer.path("websocket_page.html")))
                return HTTPResponse(headers: ["content-type": "text/html; charset=utf-8"], body: .bytes(Array(page)))
            case "/report":
                reported.yield(try await request.body.collect(upTo: 1 << 16))
                return .text("thanks")
            case "/fragments":
                return socket {
                    $0.fragmentBytes = 5
                } _: { socket in
                    try await socket.send(text: "in several frames: grüß dich, 世界")
                    _ = try await socket.ended()
                }
            case "/ends":
                return socket { [ends] socket in
                    ends.add(socket)
                    _ = try await socket.ended()
                }
            case "/close": return socket { $0.close(code: .init(rawValue: 4001), reason: "grüß") }
            case "/close-empty": return socket { $0.close(code: nil) }
            case "/bad-utf8":
                return socket { socket in
                    try await socket.loop.run { socket.write(.text, [0x61, 0xC3, 0x28]) }
                    _ = try await socket.ended()
                }
            case "/pings":
                return socket {
                    $0.pingInterval = .milliseconds(50)
                    $0.pongTimeout = .seconds(1)
                } _: { socket in
                    // Three pings within two seconds, each followed by a pong and nothing else.
                    var heard = socket.lastReceived
                    for _ in 0..<3 {
                        while socket.lastReceived == heard, await socket.end() == nil {
                            try await socket.loop.time.wait(for: .milliseconds(5))
                        }
                        heard = socket.lastReceived
                    }
                    try await socket.send(text: "alive")
                    _ = try await socket.ended()
                }
            case "/subprotocol":
                return HTTPResponse(body: .webSocket(subprotocol: "two") { _ = try await $0.ended() })
            case "/small": return socket({ $0.maximumMessageBytes = 65536 }, echo)
            case "/small-deflate":
                return socket(
                    {
                        $0.maximumMessageBytes = 65536
                        $0.compression = Self.compression { $0.keepsContext = true }
                    },
                    echo
                )
            case "/deflate": return socket({ $0.compression = Self.compression { _ in } }, echo)
            case "/deflate-context":
                return socket({ $0.compression = Self.compression { $0.keepsContext = true } }, echo)
            case "/deflate-10":
                return socket(
                    {
                        $0.compression = Self.compression {
                            $0.keepsContext = true
                            $0.windowBits = 10
                        }
                    },
                    echo
                )
            default: return socket({ $0.compression = nil }, echo)
            }
        }

        private static func compression(_ change: (inout WebSocketCompression) -> Void) -> WebSocketCompression {
            var compression = WebSocketCompression()
            compression.minimumBytes = 0
            compression.compressesBinary = true
            change(&compression)
            return compression
        }

        private func socket(
            _ change: (inout WebSocketConfiguration) -> Void = { _ in },
            _ run: @escaping @Sendable (WebSocket) async throws -> Void
        ) -> HTTPResponse {
            var configuration = WebSocketConfiguration()
            change(&configuration)
            return HTTPResponse(body: .webSocket(subprotocol: nil, configuration: configuration, run))
        }

        private let echo: @Sendable (WebSocket) async throws -> Void = { socket in
            while let message = try await socket.receive() {
                switch message {
                case .text(let text): try await socket.send(text: text)
                case .binary(let bytes): try await socket.send(binary: bytes)
                }
            }
        }
    }

    private func withPaths(_ body: (EventLoop, SocketAddress, Paths) async throws -> Void) async throws {
        let paths = Paths()
        try await withServer(handler: paths.answer) { _, loop, address in try await body(loop, address, paths) }
    }

    private static let answers = [
        "echo": "same",
        "fragments sent": "fragmented, pong",
        "fragments received": "in several frames: grüß dich, 世界",
        "close": "3001",
        "close by server": "4001 grüß",
        "close without code": "1005",
        "invalid UTF-8": "1007 a text message is not UTF-8",
        "invalid UTF-8 in fragments": "1007 a text message is not UTF-8",
        "oversize": "1009 a message is longer than 65536 bytes",
        "oversize in fragments": "1009 a message is longer than 65536 bytes",
        "reserved bit": "1002 a reserved bit is set",
        "unknown opcode": "1002 unknown opcode 3",
        "not masked": "1002 a client's frame is not masked",
        "fragmented ping": "1002 a control frame is fragmented",
        "compressed without agreement": "1002 a reserved bit is set",
        "pings": "alive",
        "deflate": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "deflate with context": "permessage-deflate",
        "deflate, client forgets": "permessage-deflate; client_no_context_takeover",
        "deflate, server forgets": "permessage-deflate; server_no_context_takeover",
        "deflate, server 9 bits": "permessage-deflate; server_max_window_bits=9",
        "deflate, client 9 bits": "permessage-deflate; client_max_window_bits=9",
        "deflate, server 8 bits": "permessage-deflate; server_max_window_bits=8",
        "deflate, both 10 bits": "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
        "deflate bomb": "1009 a message is longer than 65536 bytes",
    ]

    @Test(arguments: ForeignProgram.Library.allCases)
    func `a foreign client gets what the protocol says`(library: ForeignProgram.Library) async throws {
        try await withPaths { loop, address, paths in
            let client = try ForeignProgram(library, "websocket_client", ["\(address.port)"])
            let status = try await client.process.exit(within: .seconds(120))
            #expect(status == 0, "\(String(decoding: client.process.standardError, as: UTF8.self))")
            var results: [String: String] = [:]
            for line in client.process.standardOutput.split(separator: UInt8(ascii: "\n")) {
                let value = try JSONValue(parsing: line)
                results[value["scenario"]?.string ?? ""] = value["result"]?.string
            }
            for (scenario, answer) in Self.answers.sorted(by: { $0.key < $1.key }) {
                #expect(results[scenario] == answer, "\(library): \(scenario)")
            }
            #expect(results.count == Self.answers.count)
            guard case .closed(let code?, "bye") = try await paths.ends.next() else { return #expect(Bool(false)) }
            #expect(code.rawValue == 3001)
        }
    }

    @Test func `Chromium gets what the protocol says, also while its page stalls`() async throws {
        try await withPaths { loop, address, paths in
            let browser = try HeadlessBrowser("http://127.0.0.1:\(address.port)/")
            let report: [UInt8]
            do {
                report = try await withDeadline(.seconds(120), time: SystemTime(), what: "the browser's report") {
                    var iterator = paths.reports.makeAsyncIterator()
                    return await iterator.next() ?? []
                }
            } catch {
                try await browser.quit()
                return #expect(Bool(false), "\(error): \(browser.complaints)")
            }
            try await browser.quit()
            let results = try JSONValue(parsing: report)
            let answers = [
                "echo": "none",
                "fragments received": "in several frames: grüß dich, 世界",
                "close": "3001 clean",
                "close by server": "4001 grüß clean",
                "close without code": "1005 clean",
                "oversize": "1009 a message is longer than 65536 bytes clean",
                // The browser's own verdict: it breaks off and tells the page 1006.
                "server breaks UTF-8": "1006 not clean",
                "stalled page": "alive",
                "subprotocol": "two",
                "deflate": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "deflate with context": "permessage-deflate",
                "deflate, both 10 bits": "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
                "deflate bomb": "1009 a message is longer than 65536 bytes clean",
            ]
            for (scenario, answer) in answers.sorted(by: { $0.key < $1.key }) {
                #expect(results[scenario]?.string == answer, "\(scenario)")
            }
            guard case .closed(let code?, "bye") = try await paths.ends.next() else { return #expect(Bool(false)) }
            #expect(code.rawValue == 3001)
        }
    }
}
