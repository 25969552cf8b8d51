import Base
import EventLoop
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite struct HTTPServerTests {
    static let echo: HTTPHandler = { request in
        let body = try await request.body.collect(upTo: 1 << 20)
        return .text(
            "\(request.method) \(request.segments) \(request.rawQuery) \(String(decoding: body, as: UTF8.self))"
        )
    }

    @Test func `white space around a header's value is no part of it`() async throws {
        let handler: HTTPHandler = { .text("<\($0.headers["x-spaced"] ?? "")>") }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            let head = Array("GET / HTTP/1.1\r\nhost: x\r\nx-empty:  \t \r\nx-spaced: \t a b\t \r\n\r\n".utf8)
            // In one piece, and cut within the space, which the parser then sees in two spans.
            for piece in [head[...], head.prefix(head.count - 5), head.suffix(5)] {
                try await peer.send(Array(piece))
                _ = try await peer.receivedCount()
            }
            #expect(try await peer.receive(until: "<a b>", times: 2).ranges(of: "<a b>").count == 2)
            try await peer.close()
        }
    }

    @Test func `a request reaches its handler and its answer the client`() async throws {
        try await withServer(handler: Self.echo) { _, loop, address in
            let client = HTTPClient(loop: loop)
            let answer = try await client.fetch(
                HTTPClientRequest(.post, address.url("/a%20b/c?x=1"), body: .bytes(Array("hello".utf8)))
            )
            #expect(answer.status == 200)
            #expect(String(decoding: answer.body, as: UTF8.self) == #"POST ["a b", "c"] x=1 hello"#)
            #expect(answer.headers["date"]?.hasSuffix(" GMT") == true)
            await client.close()
        }
    }

    @Test func `handlers run on the loop of their connection`() async throws {
        try await withServer(handler: { .text("\($0.loop.isCurrent)") }) { _, loop, address in
            let answer = try await HTTPClient(loop: loop).fetch(HTTPClientRequest(.get, address.url()))
            #expect(answer.body == Array("true".utf8))
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        let handler: HTTPHandler = { request in
            // The first takes longest: its answer must still come first.
            let number = Int(request.segments[0]) ?? 0
            try await request.loop.time.wait(for: .milliseconds(10 - number))
            return .text("[\(number)]")
        }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            let requests = (0..<10).map { "GET /\($0) HTTP/1.1\r\nhost: x\r\n\r\n" }.joined()
            try await peer.send(requests)
            let text = try await peer.receive(until: "[9]")
            let order = (0..<10).compactMap { text.ranges(of: "[\($0)]").first?.lowerBound }
            #expect(order.count == 10 && order == order.sorted())
        }
    }

    @Test func `a body sent in pieces arrives whole, also in chunks`() async throws {
        try await withServer(handler: Self.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            for piece in [
                "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "3\r\nab",
                "c\r\n2;e=1\r\nde\r\n0\r\n\r\n",
            ] {
                try await peer.send(piece)
            }
            #expect(try await peer.receive(until: "abcde").contains("200 OK"))
        }
    }

    @Test func `100 Continue is sent when the handler asks for the body and not before`() async throws {
        let handler: HTTPHandler = { request in
            if request.path == "/no" { return .text("refused", status: 403) }
            return try await Self.echo(request)
        }
        try await withServer(handler: handler) { _, loop, address in
            let head = "HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
            let willing = try await RawPeer.connect(address, on: loop)
            try await willing.send("POST /yes " + head)
            #expect(try await willing.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await willing.send("ok")
            #expect(try await willing.receive(until: " ok").contains("200 OK"))
            let unwilling = try await RawPeer.connect(address, on: loop)
            try await unwilling.send("POST /no " + head)
            let text = try await unwilling.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 403 "))
            #expect(text.contains("connection: close"))
        }
    }

    @Test func `the answer to HEAD has the length and no body`() async throws {
        try await withServer(handler: { _ in .text("twelve bytes") }) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            let text = try await peer.receiveAll()
            #expect(text.contains("content-length: 12\r\n") && text.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func `a streamed body waits for a slow reader`() async throws {
        let written = Counter()
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .stream(length: nil) { writer in
                    for _ in 0..<400 {
                        try await writer.write([UInt8](repeating: 0x61, count: 65536))
                        written.add(65536)
                    }
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop, reading: false)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            // Until the kernel's buffers and ours are full nothing stops the handler; then it stands still.
            var last = -1
            while written.value != last {
                last = written.value
                try await loop.time.wait(for: .milliseconds(100))
            }
            #expect(last < 16 * 1024 * 1024)
            try await peer.resumeReading()
            _ = try await peer.receiveAll()
            #expect(written.value == 400 * 65536)
        }
    }

    @Test func `a client that goes away cancels its handler`() async throws {
        try await withLoop { loop in
            let (cancelled, continuation) = AsyncStream.makeStream(of: Bool.self)
            let configuration = DeadlineTests.short { $0.farewellTimeout = .milliseconds(50) }
            let server = HTTPServer([loop], configuration: configuration) { request in
                continuation.yield(false)
                do {
                    try await request.loop.time.wait(for: .seconds(60))
                } catch {
                    continuation.yield(error is CancellationError)
                }
                return .text("late")
            }
            let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            var iterator = cancelled.makeAsyncIterator()
            #expect(await iterator.next() == false)
            try await peer.close()
            #expect(await iterator.next() == true)
            await server.shutdown(drainingFor: .seconds(1))
        }
    }

    @Test func `an error of a handler becomes its status and says no more than its message`() async throws {
        let handler: HTTPHandler = { request in
            if request.path == "/known" { throw BerthError(.notFound, "no such thing", detail: "private") }
            throw CocoaLikeError()
        }
        try await withServer(handler: handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            let known = try await client.fetch(HTTPClientRequest(.get, address.url("/known")))
            #expect(known.status == 404)
            #expect(String(decoding: known.body, as: UTF8.self) == #"{"code":"not_found","message":"no such thing"}"#)
            let unknown = try await client.fetch(HTTPClientRequest(.get, address.url("/unknown")))
            #expect(unknown.status == 500)
            #expect(!String(decoding: unknown.body, as: UTF8.self).contains("CocoaLikeError"))
        }
    }
    private struct CocoaLikeError: Error {}

    @Test func `a unix socket serves, tells who connects, and is gone after the shutdown`() async throws {
        try await withLoop { loop in
            let directory = try TemporaryDirectory()
            let path = directory.path + "/api.sock"
            let server = HTTPServer([loop]) { request in
                guard case .unix(let userID, _) = request.peer else { return .text("tcp") }
                return .text("uid \(userID ?? 9999)")
            }
            try await server.listen(on: .unix(path: path, mode: 0o600))
            let client = HTTPClient(loop: loop)
            let url = try HTTPURL("unix:" + path)
            let answer = try await client.fetch(HTTPClientRequest(.get, url))
            #expect(String(decoding: answer.body, as: UTF8.self) == "uid \(getuid())")
            await #expect(throws: BerthError.self) { try await server.listen(on: .unix(path: path, mode: 0o600)) }
            await server.shutdown(drainingFor: .zero)
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test func `a shutdown lets a running request end`() async throws {
        try await withLoop { loop in
            let (begun, continuation) = AsyncStream.makeStream(of: Void.self)
            let (gate, opening) = AsyncStream.makeStream(of: Void.self)
            let server = HTTPServer([loop]) { _ in
                continuation.yield()
                for await _ in gate { break }
                return .text("done")
            }
            let address = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0))
            async let answer = HTTPClient(loop: loop).fetch(HTTPClientRequest(.get, address.url()))
            var iterator = begun.makeAsyncIterator()
            await iterator.next()
            async let shutdown: Void = server.shutdown(drainingFor: .seconds(20))
            // The shutdown is under way once nobody listens any more.
            while let socket = try? await Socket.connect(to: address, loop: loop) {
                try await loop.run { socket.close() }
            }
            opening.yield()
            await shutdown
            let (status, headers, _) = try await answer
            #expect(status == 200)
            #expect(headers["connection"] == "close")
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `server-sent events arrive as they are sent, with comments in quiet times`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.eventKeepAlive = .milliseconds(10)
        let handler: HTTPHandler = { request in
            HTTPResponse(
                body: .events { events in
                    try await events.send(event: "output", id: "7", data: "two\nlines")
                    try await request.loop.time.wait(for: .milliseconds(100))
                    try await events.send(data: "end")
                }
            )
        }
        try await withServer(configuration: configuration, handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("GET / HTTP/1.0\r\n\r\n")
            let text = try await peer.receiveAll()
            #expect(text.contains("content-type: text/event-stream\r\n"))
            #expect(text.contains("\r\n\r\nevent: output\nid: 7\ndata: two\ndata: lines\n\n:\n\n"))
            #expect(text.hasSuffix("data: end\n\n"))
        }
    }
}

/// Counts across threads.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add(_ more: Int) { count.withLock { $0 += more } }
}
