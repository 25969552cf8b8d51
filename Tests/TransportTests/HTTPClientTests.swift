import Base
import EventLoop
import Synchronization
import Testing

@testable import Transport

@Suite struct HTTPClientTests {
    @Test func `requests one after the other share a connection`() async throws {
        try await withServer(handler: HTTPServerTests.echo) { server, loop, address in
            let client = HTTPClient(loop: loop)
            for _ in 0..<5 { _ = try await client.fetch(.init(.get, address.url())) }
            #expect(server.connectionCount == 1)
            await client.close()
        }
    }

    @Test func `requests side by side get a connection each`() async throws {
        try await withServer(handler: HTTPServerTests.echo) { _, loop, address in
            let client = HTTPClient(loop: loop)
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let answer = try await client.fetch(.init(.get, address.url("/\(number)")))
                        return String(decoding: answer.body, as: UTF8.self)
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(answers.count == 20)
        }
    }

    @Test func `a kept connection that the server closed is replaced without the caller noticing`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.idleTimeout = .milliseconds(20)
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { server, loop, address in
            let client = HTTPClient(loop: loop)
            for _ in 0..<20 {
                _ = try await client.fetch(.init(.get, address.url()))
                // About as long as the server keeps it: some requests meet the close.
                try await loop.time.wait(for: .milliseconds(20))
            }
        }
    }

    @Test func `a streamed upload arrives whole`() async throws {
        let handler: HTTPHandler = { request in
            var count = 0
            for try await chunk in request.body { count += chunk.count }
            return .text("\(count)")
        }
        try await withServer(handler: handler) { _, loop, address in
            for length in [nil, 50 * 65536] as [Int?] {
                let body = HTTPClientRequest.Body.stream(length: length) { writer in
                    for _ in 0..<50 { try await writer.write([UInt8](repeating: 1, count: 65536)) }
                }
                let answer = try await HTTPClient(loop: loop).fetch(.init(.post, address.url(), body: body))
                #expect(answer.body == Array("\(50 * 65536)".utf8))
            }
        }
    }

    @Test func `a response that is dropped half-read closes its connection`() async throws {
        let (ends, continuation) = AsyncStream.makeStream(of: Bool.self)
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .stream(length: nil) { writer in
                    defer { continuation.yield(true) }
                    while true { try await writer.write([UInt8](repeating: 1, count: 65536)) }
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            let status = try await client.send(.init(.get, address.url())).status
            #expect(status == 200)
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == true)
        }
    }

    @Test func `nobody listening is a network error that names the address`() async throws {
        try await withLoop { loop in
            await #expect { () async throws in
                _ = try await HTTPClient(loop: loop).fetch(.init(.get, HTTPURL("http://127.0.0.1:1/")))
            } throws: {
                "\($0)" == "cannot connect to 127.0.0.1:1: connection refused"
            }
            await #expect(throws: BerthError.self) {
                _ = try await HTTPClient(loop: loop).fetch(.init(.get, HTTPURL("http://no-such-host.invalid/")))
            }
        }
    }

    @Test func `a cancelled request closes its connection`() async throws {
        let (ends, continuation) = AsyncStream.makeStream(of: Bool.self)
        let handler: HTTPHandler = { request in
            continuation.yield(false)
            defer { continuation.yield(true) }
            try await request.loop.time.wait(for: .seconds(60))
            return .text("late")
        }
        let configuration = DeadlineTests.short { $0.farewellTimeout = .milliseconds(50) }
        try await withServer(configuration: configuration, handler: handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            let request = Task { try await client.fetch(.init(.get, address.url())) }
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == false)
            request.cancel()
            await #expect(throws: (any Error).self) { try await request.value }
            #expect(await iterator.next() == true)
        }
    }

    @Test func `events arrive with their ids, and a reconnect says the last`() async throws {
        let handler: HTTPHandler = { request in
            let first = (Int(request.headers["last-event-id"] ?? "") ?? 0) + 1
            return HTTPResponse(
                body: .events { events in
                    for number in first..<first + 3 {
                        try await events.send(event: "n", id: "\(number)", data: "a\r\nb\(number)")
                    }
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            var seen: [String] = []
            var last: String?
            for _ in 0..<2 {
                let stream = try await client.events(.init(.get, address.url()), lastEventID: last)
                for try await event in stream { seen.append("\(event.id ?? "") \(event.data)") }
                last = stream.lastEventID
            }
            #expect(seen == (1...6).map { "\($0) a\nb\($0)" })
        }
    }

    @Test func `an event stream parses the same in any split`() throws {
        let text =
            "\u{FEFF}: hello\r\ndata: one\r\ndata\r\ndata:  two\n\nevent: x\rid: 4\rdata:3\r\rretry: 50\nid\ndata: é\n\ndata: cut off"
        let expected = [
            ServerSentEvent(data: "one\n\n two"), ServerSentEvent(event: "x", id: "4", data: "3"),
            ServerSentEvent(id: "", data: "é"),
        ]
        let bytes = Array(text.utf8)
        for size in 1...bytes.count {
            var parser = EventStreamParser()
            var events: [ServerSentEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                events += try parser.feed(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(events == expected, "pieces of \(size)")
            #expect(parser.retryMs == 50)
        }
    }

    @Test func `URLs are taken apart`() throws {
        #expect(
            try HTTPURL("https://a.b/c?d=e#f")
                == HTTPURL(endpoint: .tcp(host: "a.b", port: 443, secure: true), target: "/c?d=e")
        )
        #expect(try HTTPURL("ws://[::1]:80").endpoint == .tcp(host: "::1", port: 80))
        #expect(try HTTPURL("unix:/run/a.sock") == HTTPURL(endpoint: .unix("/run/a.sock")))
        #expect(try HTTPURL("http+unix://%2Frun%2Fa.sock/v1").target == "/v1")
        for text in ["", "a.b", "http://", "http://u@h/", "http://h:99999/", "ftp://h/", "http://h/a b"] {
            #expect(throws: BerthError.self, "\(text)") { try HTTPURL(text) }
        }
    }
}
