import Base
import EventLoop
import TestSupport
import Testing

@testable import Transport

@Suite struct HostileClientTests {
    static let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n"

    @Test func `two hundred clients that drip their heads are cut off while others are served as ever`() async throws {
        let log = LogLines()
        let configuration = DeadlineTests.short { $0.headTimeout = .seconds(2) }
        try await withServer(configuration: configuration, log: log, handler: HTTPServerTests.echo) {
            server,
            loop,
            address in
            try await withLoop { others in
                let slow = try await withThrowingTaskGroup(of: RawSocket.self) { group in
                    for _ in 0..<200 { group.addTask { try await RawSocket.connect(address, on: others) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let ends = others.spawnCollecting(slow) { peer in
                    try? await peer.send("GET / HTTP/1.1\r\nhost: x\r\n")
                    while (try? await peer.send("a")) != nil, server.count(of: .slowHead) < 200 {
                        try? await others.time.wait(for: .milliseconds(100))
                    }
                    return (try? await peer.readAll()) ?? ""
                }
                let client = try await RawSocket.connect(address, on: others)
                var worst = Duration.zero
                while server.count(of: .slowHead) < 200 {
                    let began = others.time.uptime
                    try await client.send(Self.get)
                    #expect(try await client.read(until: "GET").hasPrefix("HTTP/1.1 200 "))
                    worst = max(worst, others.time.uptime - began)
                    try await others.time.wait(for: .milliseconds(5))
                    try #require(others.time.uptime - began < .seconds(20))
                }
                // No figure of speed, which the soak takes: a client that waited for the others would wait for them all.
                #expect(worst < .seconds(10))
                let answers = await ends.value
                #expect(answers.count == 200 && answers.allSatisfy { $0.isEmpty || $0.hasPrefix("HTTP/1.1 408 ") })
                let lines = log.containing("slow_head")
                #expect((1...LogRate.burst + 1).contains(lines.count) && lines[0].contains("127.0.0.1:"))
            }
        }
        let unlogged = log.containing("clients refused")
        #expect(unlogged.count == 1 && unlogged[0].contains(#""reason":"slow_head""#))
    }

    @Test func `a client that drips its body is cut off although bytes keep coming`() async throws {
        let configuration = DeadlineTests.short { $0.bodyTimeout = .milliseconds(300) }
        let reader: HTTPHandler = { request in
            var count = 0
            for try await piece in request.body { count += piece.count }
            return .text("\(count)")
        }
        try await withServer(configuration: configuration, handler: reader) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
            let dripping = loop.spawn {
                while (try? await peer.send("a")) != nil, !Task.isCancelled {
                    try? await loop.time.wait(for: .milliseconds(20))
                }
            }
            #expect(try await peer.readAll().hasPrefix("HTTP/1.1 408 "))
            dripping.cancel()
            #expect(server.count(of: .slowBody) == 1)
        }
    }

    @Test func `a slow client that keeps to the minimum may take longer than the deadline`() async throws {
        let configuration = DeadlineTests.short { $0.bodyTimeout = .milliseconds(400) }
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: \(10 * 4096)\r\n\r\n")
            let began = loop.time.uptime
            for _ in 0..<10 {
                try await peer.send([UInt8](repeating: 0x61, count: 4096))
                try await loop.time.wait(for: .milliseconds(80))
            }
            #expect(try await peer.read(until: "aaa").hasPrefix("HTTP/1.1 200 "))
            #expect(loop.time.uptime - began > configuration.bodyTimeout)
        }
    }

    @Test func `a client that takes its answer in drips is given up`() async throws {
        let configuration = DeadlineTests.short {
            $0.writeTimeout = .milliseconds(300)
            $0.minimumBytes = 1 << 20
        }
        let (ends, continuation) = AsyncStream.makeStream(of: ErrorCode.self)
        try await withServer(configuration: configuration, handler: Self.endless(continuation)) {
            server,
            loop,
            address in
            let peer = try await RawSocket.connect(address, on: loop, receiveBuffer: 4096)
            try await peer.send(Self.get)
            let dripping = loop.spawn {
                while let more = try? await peer.read(500), !more.isEmpty, !Task.isCancelled {
                    try? await loop.time.wait(for: .milliseconds(10))
                }
            }
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == .timedOut)
            #expect(server.count(of: .slowReader) == 1)
            dripping.cancel()
        }
    }

    static func endless(_ ends: AsyncStream<ErrorCode>.Continuation) -> HTTPHandler {
        { _ in
            HTTPResponse(
                body: .stream(length: nil) { writer in
                    do {
                        while true { try await writer.write([UInt8](repeating: 0, count: 65536)) }
                    } catch {
                        ends.yield(BerthError(wrapping: error).code)
                        throw error
                    }
                }
            )
        }
    }

    @Test func `a body that its handler never reads pins no connection`() async throws {
        let configuration = DeadlineTests.short {
            $0.unreadTimeout = .milliseconds(100)
            $0.farewellTimeout = .milliseconds(50)
        }
        let (gate, opening) = AsyncStream.makeStream(of: Void.self)
        let deaf: HTTPHandler = { _ in
            // Not even cancellation ends it.
            await Task.detached { for await _ in gate { break } }.value
            return .text("late")
        }
        try await withServer(configuration: configuration, handler: deaf) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
            try await peer.send([UInt8](repeating: 0x61, count: 70_000))
            #expect(try await peer.readAll() == "")
            #expect(server.count(of: .unreadBody) == 1 && server.count(of: .lateHandler) == 1)
            #expect(try await eventually(loop) { server.connectionCount == 0 })
            opening.finish()
        }
    }

    @Test func `a client that waits for 100 Continue is under no deadline of its own`() async throws {
        let configuration = DeadlineTests.short { $0.bodyTimeout = .milliseconds(50) }
        let slow: HTTPHandler = { request in
            try await request.loop.time.wait(for: .milliseconds(300))
            return try await HTTPServerTests.echo(request)
        }
        try await withServer(configuration: configuration, handler: slow) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            #expect(try await peer.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await peer.send("ok")
            #expect(try await peer.read(until: " ok").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func `a thousand requests whose answers nobody reads cost a bounded amount`() async throws {
        let begun = Counter()
        let large: HTTPHandler = { _ in
            begun.add(1)
            return HTTPResponse(body: .bytes([UInt8](repeating: 0x61, count: 64 * 1024)))
        }
        try await withServer(handler: large) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop, receiveBuffer: 4096)
            try await peer.send(String(repeating: Self.get, count: 1000))
            var last = -1
            while begun.value != last {
                last = begun.value
                try await loop.time.wait(for: .milliseconds(200))
            }
            // What the kernel takes, and what may wait in memory (256 KiB).
            #expect(last < 200)
            var count = 0
            while count < 1000 * 64 * 1024, let more = try await peer.read() { count += more.count }
            #expect(begun.value == 1000)
        }
    }

    @Test func `a client that has sent ahead and left cancels the handler it waits for`() async throws {
        let configuration = DeadlineTests.short { $0.farewellTimeout = .milliseconds(50) }
        let (ends, continuation) = AsyncStream.makeStream(of: Bool.self)
        let handler: HTTPHandler = { request in
            do {
                try await request.loop.time.wait(for: .seconds(60))
            } catch {
                continuation.yield(error is CancellationError)
            }
            return .text("late")
        }
        try await withServer(configuration: configuration, handler: handler) { server, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await peer.send(String(repeating: Self.get, count: 2))
            await peer.close()
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == true)
            #expect(try await eventually(loop) { server.connectionCount == 0 })
        }
    }
}

extension EventLoop {
    /// Runs `body` for each on this loop; the results in no order.
    func spawnCollecting<Element: Sendable, Result: Sendable>(
        _ elements: [Element],
        _ body: @escaping @Sendable (Element) async -> Result
    ) -> Task<[Result], Never> {
        Task(executorPreference: self) {
            await withTaskGroup(of: Result.self) { group in
                for element in elements { group.addTask { await body(element) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
    }
}
