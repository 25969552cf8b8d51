import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct ClientRetryTests {
    private func client(_ loop: EventLoop, retries: Int, wait: Duration = .seconds(30)) -> HTTPClient {
        var configuration = HTTPClientConfiguration()
        configuration.retries = HTTPRetries(
            maximum: retries,
            backoff: Backoff(first: .milliseconds(1), limit: .milliseconds(4)),
            longestWait: wait
        )
        return HTTPClient(loop: loop, configuration: configuration, randomness: SeededRandomness(seed: 1))
    }

    @Test func `what may be repeated is sent again until it is answered`() async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                guard connection.heads == 1 else { return }
                switch connection.number {
                case 1: connection.socket.close()
                case 2:
                    connection.answer(
                        "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    )
                default: connection.answer("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx")
                }
            }
            let client = client(loop, retries: 3)
            let body = HTTPClientRequest.Body.bytes([1])
            try await expect(200, of: client, .init(.put, server.url(), body: body))
            #expect(server.connections == 3)
            await client.close()
        }
    }

    /// Who refuses a request by its head resets the connection when more of the body comes.
    @Test func `an answer that came before a reset is an answer`() async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                guard connection.heads == 1, !connection.isAnswered else { return }
                connection.isAnswered = true
                Array("HTTP/1.1 412 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".utf8).withUnsafeBytes {
                    connection.socket.writeThrough($0)
                }
                connection.socket.reset()
            }
            let client = client(loop, retries: 0)
            for _ in 1...20 { try await expect(412, of: client, .init(.put, server.url(), body: .bytes([1]))) }
            await client.close()
        }
    }

    @Test func `what may not be repeated is not, unless the server knows it again`() async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                connection.answer("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            }
            let client = client(loop, retries: 2)
            try await expect(503, of: client, .init(.post, server.url(), body: .bytes([1])))
            #expect(server.connections == 1)
            let stream = HTTPClientRequest.Body.stream(length: 1) { try await $0.write([1]) }
            try await expect(503, of: client, .init(.put, server.url(), body: stream))
            #expect(server.connections == 2)
            let known = HTTPClientRequest(.post, server.url(), headers: ["idempotency-key": "k"], body: .bytes([1]))
            try await expect(503, of: client, known)
            #expect(server.connections == 5)
            await client.close()
        }
    }

    @Test func `a wait that is asked for is kept, unless it is longer than anyone would wait`() async throws {
        let time = Timestamp(milliseconds: 784_111_777_000)
        #expect(HTTPRetryPlan.wait("120", now: time) == .seconds(120))
        #expect(HTTPRetryPlan.wait("Sun, 06 Nov 1994 08:50:37 GMT", now: time) == .seconds(60))
        #expect(HTTPRetryPlan.wait("Sun, 06 Nov 1994 08:00:00 GMT", now: time) == .zero)
        #expect(HTTPRetryPlan.wait("soon", now: time) == nil)
        #expect(HTTPRetryPlan.wait("-1", now: time) == nil)
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                guard connection.heads == 1 else { return }
                let wait = connection.text.contains("GET /long") ? 31 : 1
                connection.answer(
                    connection.number == 1
                        ? "HTTP/1.1 429 Slow\r\nretry-after: \(wait)\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        : "HTTP/1.1 \(wait == 1 ? 200 : 429) OK\r\nretry-after: \(wait)\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
            }
            let client = client(loop, retries: 1)
            let began = loop.time.uptime
            try await expect(200, of: client, .init(.get, server.url()))
            #expect(loop.time.uptime - began >= .seconds(1))
            try await expect(429, of: client, .init(.get, server.url("/long")))
            #expect(server.connections == 3)
            // Nor a wait beyond the request's own time.
            let short = HTTPClientRequest(.get, server.url("/long"), timeout: .milliseconds(500))
            try await expect(429, of: client, short)
            await client.close()
        }
    }

    @Test func `dates are read as they are written`() {
        for seconds in [0, 951_782_400, 951_868_800, 1_709_164_800, 4_107_542_400, 784_111_777] as [Int64] {
            #expect(HTTPDate.seconds(HTTPDate.text(secondsSinceEpoch: seconds)) == seconds)
        }
        for wrong in [
            "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        ] {
            #expect(HTTPDate.seconds(wrong) == nil)
        }
    }
}
