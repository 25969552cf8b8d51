import Base
import EventLoop
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// What crosses from one loop to another, or comes from no loop at all.
@Suite struct LoopsTests {
    @Test func `a server on several loops shares its port and its unix socket among them`() async throws {
        let group = try EventLoopGroup(count: 3, name: "server")
        group.start()
        defer { group.stop() }
        let directory = try TemporaryDirectory()
        let server = HTTPServer(group.loops) { .text($0.loop.name) }
        let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        try await server.listen(on: .unix(path: directory.path + "/s", mode: 0o600))
        try await withLoop { loop in
            var names: Set<String> = []
            for _ in 0..<6 {
                let client = HTTPClient(loop: loop)
                let answer = try await client.fetch(.init(.get, HTTPURL("unix:\(directory.path)/s")))
                names.insert(String(decoding: answer.body, as: UTF8.self))
                #expect(try await client.fetch(.init(.get, address.url())).0 == 200)
                await client.close()
            }
            #expect(names == ["server-0", "server-1", "server-2"])
        }
        await server.shutdown(drainingFor: .seconds(1))
    }

    @Test func `long connections are spread evenly, and new ones go where old ones ended`() async throws {
        let group = try EventLoopGroup(count: 3, name: "server")
        group.start()
        defer { group.stop() }
        let server = HTTPServer(group.loops) { .text($0.loop.name) }
        let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
        try await withLoop { loop in
            func open() async throws -> (client: HTTPClient, place: String) {
                let client = HTTPClient(loop: loop)
                let answer = try await client.fetch(.init(.get, address.url()))
                return (client, String(decoding: answer.body, as: UTF8.self))
            }
            var clients: [(client: HTTPClient, place: String)] = []
            for _ in 0..<12 { clients.append(try await open()) }
            let counts = Dictionary(grouping: clients, by: \.place).mapValues(\.count)
            #expect(counts == ["server-0": 4, "server-1": 4, "server-2": 4])
            // All of one loop end; the next ones go there.
            for client in clients where client.place == "server-1" { await client.client.close() }
            let deadline = loop.time.uptime + .seconds(10)
            while server.connectionCount > 8, loop.time.uptime < deadline {
                try await loop.time.wait(for: .milliseconds(5))
            }
            for _ in 0..<4 {
                let next = try await open()
                #expect(next.place == "server-1")
                clients.append(next)
            }
            for client in clients { await client.client.close() }
        }
        await server.shutdown(drainingFor: .seconds(1))
    }

    @Test func `a second server does not share the port of the first`() async throws {
        let group = try EventLoopGroup(count: 2, name: "server")
        group.start()
        defer { group.stop() }
        let first = HTTPServer(group.loops, handler: HTTPServerTests.echo)
        let address = try await first.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let second = HTTPServer(group.loops, handler: HTTPServerTests.echo)
        await #expect {
            try await second.listen(on: .tcp(host: "127.0.0.1", port: address.port))
        } throws: {
            ($0 as? BerthError)?.remedy?.contains("another program uses it") == true
        }
        await first.shutdown(drainingFor: .zero)
    }

    @Test func `a relay between sockets of two loops keeps order and does not grow while its reader stalls`()
        async throws
    {
        let group = try EventLoopGroup(count: 2, name: "relay")
        group.start()
        defer { group.stop() }
        // The source writes numbered messages; the relay passes them on to a socket of another loop.
        let sent = Counter()
        let source: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil) { socket in
                    for number in 0..<2000 {
                        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32768)
                        bytes[0] = UInt8(number >> 8)
                        try await socket.send(binary: bytes)
                        sent.add(1)
                    }
                }
            )
        }
        let sourceServer = HTTPServer([group.loops[0]], handler: source)
        let sourceAddress = try await sourceServer.listen(on: .tcp(host: "127.0.0.1", port: 0))
        let upstream = try await HTTPClient(loop: group.loops[0]).webSocket(sourceAddress.url())
        let relay: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil) { viewer in
                    while let message = try await upstream.receive() {
                        if case .binary(let bytes) = message { try await viewer.send(binary: bytes) }
                    }
                }
            )
        }
        let relayServer = HTTPServer([group.loops[1]], handler: relay)
        let relayAddress = try await relayServer.listen(on: .tcp(host: "127.0.0.1", port: 0))
        try await withLoop { loop in
            let viewer = try await HTTPClient(loop: loop).webSocket(relayAddress.url())
            var last = -1
            while sent.value != last {
                last = sent.value
                try await loop.time.wait(for: .milliseconds(100))
            }
            #expect(last < 1500)
            var count = 0
            while case .binary(let bytes) = try await viewer.receive() {
                #expect(Int(bytes[0]) << 8 | Int(bytes[1]) == count)
                count += 1
            }
            #expect(count == 2000)
        }
        await relayServer.shutdown(drainingFor: .zero)
        await sourceServer.shutdown(drainingFor: .zero)
    }

    @Test func `requests without a loop of their own work all the same`() async throws {
        try await withServer(handler: HTTPServerTests.echo) { _, loop, address in
            let client = HTTPClient(loop: loop)
            await withTaskGroup(of: Int.self) { group in
                for _ in 0..<50 {
                    group.addTask { (try? await client.fetch(.init(.get, address.url())).status) ?? 0 }
                }
                for await status in group { #expect(status == 200) }
            }
        }
    }
}
