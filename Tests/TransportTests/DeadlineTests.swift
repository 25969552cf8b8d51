import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct DeadlineTests {
    static func short(_ change: (inout HTTPServerConfiguration) -> Void) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration()
        change(&configuration)
        return configuration
    }

    @Test func `a head that drips in is cut off although bytes keep coming`() async throws {
        let configuration = Self.short { $0.headTimeout = .seconds(1) }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            let start = loop.time.uptime
            let dripping = loop.spawn {
                try? await peer.send("GET / HTTP/1.1\r\nhost: x\r\n")
                // Slow enough to stay below the limit on the number of headers.
                while (try? await peer.send("a: b\r\n")) != nil, !Task.isCancelled {
                    try? await loop.time.wait(for: .milliseconds(50))
                }
            }
            #expect(try await peer.receiveAll().hasPrefix("HTTP/1.1 408 "))
            dripping.cancel()
            #expect(loop.time.uptime - start < .seconds(5))
        }
    }

    @Test func `a connection that says nothing is closed`() async throws {
        let configuration = Self.short { $0.headTimeout = .milliseconds(30) }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            #expect(try await peer.receiveAll() == "")
        }
    }

    @Test func `a body that stops is given up and the handler is told`() async throws {
        let configuration = Self.short { $0.bodyTimeout = .milliseconds(30) }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
            let text = try await peer.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains("request_timed_out"))
        }
    }

    @Test func `an idle connection is closed after its time`() async throws {
        let configuration = Self.short { $0.idleTimeout = .milliseconds(30) }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            #expect(try await peer.receiveAll().hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func `a client that does not read is given up`() async throws {
        let configuration = Self.short { $0.writeTimeout = .milliseconds(100) }
        let (ends, continuation) = AsyncStream.makeStream(of: ErrorCode.self)
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .stream(length: nil) { writer in
                    do {
                        while true { try await writer.write([UInt8](repeating: 0, count: 65536)) }
                    } catch {
                        continuation.yield(BerthError(wrapping: error).code)
                        throw error
                    }
                }
            )
        }
        try await withServer(configuration: configuration, handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop, reading: false)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == .timedOut)
        }
    }

    @Test func `one connection too many is answered with 503`() async throws {
        let configuration = Self.short { $0.maximumConnections = 1 }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let first = try await RawPeer.connect(address, on: loop)
            try await first.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            _ = try await first.receive(until: "\r\n\r\n")
            let second = try await RawPeer.connect(address, on: loop)
            #expect(try await second.receiveAll().hasPrefix("HTTP/1.1 503 "))
        }
    }

    @Test func `a server that does not answer is given up by the client`() async throws {
        let handler: HTTPHandler = { request in
            try await request.loop.time.wait(for: .seconds(60))
            return .text("late")
        }
        try await withServer(handler: handler) { _, loop, address in
            var configuration = HTTPClientConfiguration()
            configuration.headTimeout = .milliseconds(30)
            let client = HTTPClient(loop: loop, configuration: configuration)
            await #expect { () async throws in
                _ = try await client.send(HTTPClientRequest(.get, address.url()))
            } throws: {
                ($0 as? BerthError)?.code == .timedOut
            }
        }
    }
}
