import Base
import EventLoop
import Glibc
import TestSupport
import Testing

/// Runs `body` with a started loop and stops it afterwards.
@discardableResult
func withLoop<Result: Sendable>(_ body: (EventLoop) async throws -> Result) async throws -> Result {
    let loop = try EventLoop(name: "test")
    loop.start()
    do {
        let result = try await body(loop)
        loop.stop()
        return result
    } catch {
        loop.stop()
        throw error
    }
}

@Suite struct EventLoopTests {
    @Test func `a task on the loop stays there across a wait`() async throws {
        try await withLoop { loop in
            let stayed = try await loop.suspend { (waiter: Waiter<[Bool]>) in
                loop.spawn {
                    var stayed = [loop.isCurrent]
                    try? await loop.time.wait(for: .milliseconds(3))
                    stayed.append(loop.isCurrent)
                    waiter.resume(returning: stayed)
                }
            }
            #expect(stayed == [true, true])
            #expect(!loop.isCurrent)
        }
    }

    @Test func `timers fire in the order of their deadlines and not early`() async throws {
        try await withLoop { loop in
            let start = loop.time.uptime
            let order = try await withThrowingTaskGroup(of: Int.self) { group in
                for milliseconds in [30, 10, 20, 1] {
                    group.addTask {
                        try await loop.time.wait(for: .milliseconds(milliseconds))
                        #expect(loop.time.uptime - start >= .milliseconds(milliseconds))
                        return milliseconds
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(order == [1, 10, 20, 30])
        }
    }

    @Test func `a cancelled wait returns at once`() async throws {
        try await withLoop { loop in
            let start = loop.time.uptime
            let waiting = loop.spawn { try? await loop.time.wait(for: .seconds(60)) }
            waiting.cancel()
            await waiting.wait()
            #expect(loop.time.uptime - start < .seconds(10))
        }
    }

    @Test func `a wait past its deadline times out with its own error`() async throws {
        try await withLoop { loop in
            await #expect { () async throws in
                try await withDeadline(.milliseconds(5), time: loop.time, what: "the test") {
                    try await loop.time.wait(for: .seconds(60))
                }
            } throws: {
                ($0 as? BerthError)?.code == .timedOut
            }
        }
    }

    @Test func `an actor pinned to the loop is entered from its callbacks without a task`() async throws {
        actor Pinned {
            let loop: EventLoop
            var count = 0
            init(loop: EventLoop) { self.loop = loop }
            nonisolated var unownedExecutor: UnownedSerialExecutor {
                loop.serialExecutor.asUnownedSerialExecutor()
            }
            func add() -> Bool {
                count += 1
                return loop.isCurrent
            }
        }
        try await withLoop { loop in
            let pinned = Pinned(loop: loop)
            #expect(await pinned.add())
            try await loop.run { pinned.assumeIsolated { $0.count += 1 } }
            #expect(await pinned.count == 2)
        }
    }

    @Test func `a pipe is readable when bytes arrive and when the other end closes`() async throws {
        try await withLoop { loop in
            var ends: [CInt] = [0, 0]
            try #require(pipe(&ends) == 0)
            let writer = ends[1]
            let reader = Descriptor(ends[0], loop: loop, closingFile: true)
            let reading = Task { () async throws -> [Int] in
                var counts: [Int] = []
                while counts.last != 0 {
                    try await reader.readable()
                    var byte: UInt8 = 0
                    counts.append(read(reader.fileDescriptor, &byte, 1))
                }
                return counts
            }
            #expect(write(writer, "x", 1) == 1)
            Glibc.close(writer)
            #expect(try await reading.value == [1, 0])
            await reader.close()
            await #expect(throws: BerthError.self) { try await reader.readable() }
        }
    }

    @Test func `a file watch tells that a file appeared`() async throws {
        try await withLoop { loop in
            let directory = try TemporaryDirectory()
            let watch = try await FileWatch(path: directory.path + "/link.sock", loop: loop)
            try directory.write("", to: "other")
            try directory.write("", to: "link.sock")
            try await watch.change()
            #expect(access(directory.path + "/link.sock", F_OK) == 0)
            watch.close()
        }
    }

    @Test func `a signal arrives as an element`() async throws {
        try await withLoop { loop in
            let signals = try await SignalSource([SIGUSR2], loop: loop)
            kill(getpid(), SIGUSR2)
            var iterator = signals.makeAsyncIterator()
            #expect(await iterator.next() == SIGUSR2)
            signals.close()
            #expect(await iterator.next() == nil)
        }
    }
}
