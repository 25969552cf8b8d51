import Base
import EventLoop
import Synchronization
import Testing
import Transport

@testable import Relay

/// From a viewer's WebSocket to a program's socket and back, through both ends of a link.
@Suite struct RelayTests {
    private static func pattern(_ count: Int, seed: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 9 &+ seed) }
    }

    private static func everything(_ socket: WebSocket) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while case .binary(let message)? = try await socket.receive() {
            if message.isEmpty { break }
            bytes += message
        }
        return bytes
    }

    @Test func `a program that answers at the end of its input needs the half-close, and gets it`() async throws {
        try await Bench.with { bench in
            let program = try await Program(bench) { socket in
                var count = 0
                Conversation(socket) { _, bytes in
                    count += bytes.count
                } end: { socket in
                    Array("got \(count)".utf8).withUnsafeBytes { socket.write($0) }
                    socket.closeAfterFlush()
                }
            }
            let viewer = try await bench.viewer(of: program)
            try await viewer.send(binary: Self.pattern(100_000, seed: 1))
            try await viewer.send(binary: [])
            #expect(String(decoding: try await Self.everything(viewer), as: UTF8.self) == "got 100000")
            guard case .closed(.normal?, _) = try await viewer.ended() else {
                Issue.record("it did not end in order")
                return
            }
        }
    }

    @Test func `many viewers at once get every byte both ways`() async throws {
        try await Bench.with { bench in
            let program = try await Program(bench) { socket in
                Conversation(socket) { socket, bytes in socket.write(bytes) }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        let viewer = try await bench.viewer(of: program)
                        let bytes = Self.pattern(3_000_000 + number * 7919, seed: number)
                        async let sent: Void = {
                            var rest = bytes[...]
                            var size = 1 + number * 997
                            while !rest.isEmpty {
                                try await viewer.send(binary: Array(rest.prefix(size)))
                                rest = rest.dropFirst(size)
                                size = size * 3 % 200_000 + 1000
                            }
                            try await viewer.send(binary: [])
                        }()
                        let echoed = try await Self.everything(viewer)
                        try await sent
                        #expect(echoed == bytes)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func `a program that reads nothing stops its viewer within a window and the kernel's buffers`() async throws {
        try await Bench.with { bench in
            let held = Mutex<[Socket]>([])
            let program = try await Program(bench) { socket in held.withLock { $0.append(socket) } }
            let viewer = try await bench.viewer(of: program)
            let piece = Self.pattern(1 << 16, seed: 3)
            let sent = Tally()
            let got = Tally()
            let time = bench.loop.time
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for _ in 0..<1792 {
                        try await viewer.send(binary: piece)
                        sent.add(piece.count)
                    }
                }
                // Until no more is taken for a while; then the program reads, and all of it arrives.
                while try await sent.grows(within: .milliseconds(500), time) {}
                // Two receive buffers of the kernel's largest size, 32 MiB, and our own.
                #expect(sent.value < 96 << 20)
                let socket = try #require(held.withLock { $0.first })
                try await bench.loop.run {
                    _ = Conversation(socket) { _, bytes in got.add(bytes.count) }
                }
                try await group.waitForAll()
            }
            while got.value < 112 << 20 {
                guard try await got.grows(within: .seconds(10), time) else { break }
            }
            #expect(got.value == 112 << 20)
        }
    }

    @Test func `a reset by the program reaches the viewer`() async throws {
        try await Bench.with { bench in
            let program = try await Program(bench) { socket in
                Conversation(socket) { socket, _ in socket.reset() }
            }
            let viewer = try await bench.viewer(of: program)
            try await viewer.send(binary: [1])
            guard case .closed(.badGateway?, let reason) = try await viewer.ended() else {
                Issue.record("the viewer was not told")
                return
            }
            #expect(reason.contains("reset"), "\(reason)")
        }
    }

    @Test func `a viewer that breaks off resets the program's connection, one that leaves in order ends it`()
        async throws
    {
        try await Bench.with { bench in
            let endings = Mutex<[String]>([])
            let rung = Wakeup()
            let program = try await Program(bench) { socket in
                var count = 0
                Conversation(socket) { _, bytes in
                    count += bytes.count
                } end: { socket in
                    endings.withLock { $0.append("end after \(count)") }
                    rung.ring()
                    socket.close()
                } closed: { error in
                    guard let error else { return }
                    endings.withLock { $0.append(error.message.contains("reset") ? "reset" : error.message) }
                    rung.ring()
                }
            }
            let time = bench.loop.time
            let orderly = try await bench.viewer(of: program)
            try await orderly.send(binary: [1, 2, 3])
            orderly.close()
            try await rung.wait(after: 0, until: time.uptime + .seconds(10), time: time)
            let broken = try await bench.viewer(of: program)
            broken.close(code: WebSocketCloseCode(rawValue: 4001))
            try await rung.wait(after: 1, until: time.uptime + .seconds(10), time: time)
            #expect(endings.withLock { $0 } == ["end after 3", "reset"])
        }
    }

    @Test func `a program on IPv6's loopback alone is found`() async throws {
        try await Bench.with { bench in
            let program = try await Program(bench, host: "::1") { socket in
                Conversation(socket) { socket, bytes in socket.write(bytes) }
            }
            let viewer = try await bench.viewer(of: program)
            try await viewer.send(binary: [6])
            #expect(try await viewer.receive() == .binary([6]))
        }
    }

    @Test func `where nothing listens there is no channel, and none is left behind`() async throws {
        try await Bench.with(maximum: 1) { bench in
            let deadline = bench.loop.time.uptime + .seconds(20)
            for _ in 0..<3 {
                let error = await #expect(throws: BerthError.self) {
                    _ = try await bench.server.connect(to: .port(1), until: deadline)
                }
                #expect(error?.code == .network)
                #expect(error?.message.contains("refused") == true)
            }
        }
    }

    @Test func `a channel that nobody uses is given back`() async throws {
        try await Bench.with(maximum: 1) { bench in
            let program = try await Program(bench) { Conversation($0) }
            for _ in 0..<5 {
                // Let go at once; the next one fits all the same.
                _ = try await bench.server.connect(
                    to: .port(program.port),
                    until: bench.loop.time.uptime + .seconds(60)
                )
                try await bench.server.loop.run {}
            }
        }
    }
}

/// A sum that somebody waits for.
private final class Tally: Sendable {
    private let sum = Mutex(0)
    private let changed = Wakeup()
    private let seen = Mutex<UInt64>(0)

    var value: Int { sum.withLock { $0 } }

    func add(_ count: Int) {
        sum.withLock { $0 += count }
        changed.ring()
    }

    /// Whether anything was added since this was asked last, or is within the time.
    func grows(within limit: Duration, _ time: any TimeSource) async throws -> Bool {
        let before = seen.withLock { $0 }
        try await changed.wait(after: before, until: time.uptime + limit, time: time)
        let now = changed.count
        seen.withLock { $0 = now }
        return now > before
    }
}
