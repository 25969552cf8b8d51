import EventLoop
import Testing

@Suite struct TaskPoolTests {
    /// `@unchecked Sendable`: touched only on the loop.
    private final class Notes: @unchecked Sendable {
        var run: TaskPool.Run?
    }

    private struct Seen: Sendable {
        var task: Int
        var isCancelled: Bool

        static var here: Seen {
            Seen(task: withUnsafeCurrentTask { $0.hashValue }, isCancelled: Task.isCancelled)
        }
    }

    @Test func `one task does one piece of work after the other, and is cancelled for its own only`() async throws {
        let loop = try EventLoop(name: "pool")
        loop.start()
        defer { loop.stop() }
        let notes = Notes()
        let first: Seen = try await loop.suspend { waiter in
            notes.run = loop.pool.run { waiter.resume(returning: .here) }
        }
        let second: Seen = try await loop.suspend { waiter in
            _ = loop.pool.run {
                // What is done is not cancelled, and nobody else in its place.
                notes.run?.cancel()
                waiter.resume(returning: .here)
            }
        }
        #expect(second.task == first.task)
        #expect(!second.isCancelled)
        let third: Seen = try await loop.suspend { waiter in
            notes.run = loop.pool.run {
                try? await loop.suspend { (_: Waiter<Void>) in }
                waiter.resume(returning: .here)
            }
            loop.post { notes.run?.cancel() }
        }
        #expect(third.isCancelled)
        let fourth: Seen = try await loop.suspend { waiter in
            _ = loop.pool.run { waiter.resume(returning: .here) }
        }
        #expect(!fourth.isCancelled)
    }

    @Test func `more work at a time than tasks are kept for is all done, and a loop ends with some at rest`()
        async throws
    {
        let loop = try EventLoop(name: "pool")
        loop.start()
        for _ in 0..<3 {
            let count: Int = try await loop.suspend { waiter in
                let tally = Tally(waiter)
                for _ in 0..<100 {
                    _ = loop.pool.run {
                        // So that all of them are under way at once.
                        try? await loop.suspend { (waiter: Waiter<Void>) in loop.post { waiter.resume() } }
                        tally.count()
                    }
                }
            }
            #expect(count == 100)
        }
        loop.stop()
    }

    /// `@unchecked Sendable`: touched only on the loop.
    private final class Tally: @unchecked Sendable {
        private let waiter: Waiter<Int>
        private var done = 0

        init(_ waiter: Waiter<Int>) { self.waiter = waiter }

        func count() {
            done += 1
            if done == 100 { waiter.resume(returning: done) }
        }
    }
}
