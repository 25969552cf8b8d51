import Base
import EventLoop
import Synchronization
import Testing

@testable import Transport

@Suite struct ClientPoolTests {
    private final class Dummy {}

    private typealias Pool = ConnectionPool<String, Dummy>

    private func opens(_ pool: inout Pool, _ key: String) -> Bool {
        if case .open = pool.acquire(key) { true } else { false }
    }

    private func ticket(_ pool: inout Pool, _ key: String) -> Int? {
        if case .wait(let ticket) = pool.acquire(key) { ticket } else { nil }
    }

    private func reused(_ pool: inout Pool, _ key: String) -> Dummy? {
        if case .reuse(let connection) = pool.acquire(key) { connection } else { nil }
    }

    @Test func `a pool opens up to its limit, then serves those who wait in turn`() throws {
        var pool = Pool(maximum: 2, maximumIdle: 1)
        let (one, two) = (Dummy(), Dummy())
        #expect(opens(&pool, "a"))
        #expect(opens(&pool, "a"))
        let first = try #require(ticket(&pool, "a"))
        let second = try #require(ticket(&pool, "a"))
        // Each place has its own limit.
        #expect(opens(&pool, "b"))
        #expect(pool.released(one, of: "a") == .serve(ticket: first))
        #expect(pool.ended(two, of: "a") == second)
        #expect(pool.released(one, of: "a") == .keep)
        #expect(pool.released(two, of: "a") == .close)
        #expect(pool.ended(two, of: "a") == nil)
        #expect(reused(&pool, "a") === one)
        #expect(pool.ended(one, of: "a") == nil)
        #expect(opens(&pool, "a"))
    }

    @Test func `one who waits no longer is passed over`() throws {
        var pool = Pool(maximum: 1, maximumIdle: 1)
        let one = Dummy()
        #expect(opens(&pool, "a"))
        let first = try #require(ticket(&pool, "a"))
        let second = try #require(ticket(&pool, "a"))
        pool.abandon(ticket: first, of: "a")
        #expect(pool.released(one, of: "a") == .serve(ticket: second))
        #expect(pool.released(one, of: "a") == .keep)
    }

    @Test func `requests beyond the limit wait for a connection, and share it`() async throws {
        let peak = Atomic<Int>(0)
        let now = Atomic<Int>(0)
        let handler: HTTPHandler = { request in
            let count = now.wrappingAdd(1, ordering: .relaxed).newValue
            if count > peak.load(ordering: .relaxed) { peak.store(count, ordering: .relaxed) }
            try await request.loop.time.wait(for: .milliseconds(2))
            now.wrappingSubtract(1, ordering: .relaxed)
            return .text("done")
        }
        try await withServer(handler: handler) { server, loop, address in
            var configuration = HTTPClientConfiguration()
            configuration.maximumPerEndpoint = 3
            let client = HTTPClient(loop: loop, configuration: configuration)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<40 {
                    group.addTask { try await client.fetch(.init(.get, address.url())).status }
                }
                for try await status in group { #expect(status == 200) }
            }
            #expect(server.connectionCount == 3)
            #expect(peak.load(ordering: .relaxed) == 3)
            await client.close()
        }
    }

    @Test func `the room of a connection that cannot be opened goes to the next`() async throws {
        try await withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.maximumPerEndpoint = 1
            let client = HTTPClient(loop: loop, configuration: configuration)
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<5 {
                    group.addTask { (try? await client.fetch(.init(.get, HTTPURL("http://127.0.0.1:1/")))) == nil }
                }
                for await hasFailed in group { #expect(hasFailed) }
            }
        }
    }

    @Test func `who waits too long is told what for, and a cancelled one leaves no trace`() async throws {
        let release = Wakeup()
        let handler: HTTPHandler = { request in
            if request.path == "/slow" { try await release.wait(after: 0) }
            return .text("done")
        }
        try await withServer(handler: handler) { _, loop, address in
            var configuration = HTTPClientConfiguration()
            configuration.maximumPerEndpoint = 1
            configuration.queueTimeout = .milliseconds(50)
            let client = HTTPClient(loop: loop, configuration: configuration)
            async let slow = client.fetch(.init(.get, address.url("/slow")))
            while release.waiting == 0 { try await loop.time.wait(for: .milliseconds(1)) }
            await #expect {
                _ = try await client.fetch(.init(.get, address.url()))
            } throws: {
                "\($0)".contains("waiting for one of the connections to http://127.0.0.1")
            }
            let waiting = Task { try await client.fetch(.init(.get, address.url())) }
            waiting.cancel()
            await #expect(throws: (any Error).self) { try await waiting.value }
            release.ring()
            let last = try await slow
            #expect(last.status == 200)
            try await expect(200, of: client, .init(.get, address.url()))
            await client.close()
        }
    }
}
