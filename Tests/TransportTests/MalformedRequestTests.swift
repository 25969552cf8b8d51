import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct MalformedRequestTests {
    /// Answers what it can read, and counts what must never come through.
    static func handler(_ smuggled: Counter) -> HTTPHandler {
        { request in
            if request.path == "/smuggled" { smuggled.add(1) }
            do {
                _ = try await request.body.collect(upTo: 1 << 20)
            } catch let error as BerthError where error.code == .invalidRequest {
                return .text("", status: 400)
            }
            return .text("host \(request.headers["host"] ?? "none").")
        }
    }

    @Test(arguments: Array(RawRequest.corpus.indices))
    func `each raw request is answered as the standard demands`(index: Int) async throws {
        let request = RawRequest.corpus[index]
        let smuggled = Counter()
        let configuration = DeadlineTests.short { $0.maximumBodyBytes = 1_000_000 }
        try await withServer(configuration: configuration, handler: Self.handler(smuggled)) { server, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            // The probe behind it is answered only where the connection goes on.
            try await peer.send(
                request.bytes + Array("GET /probe HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n".utf8)
            )
            let text = try await peer.receiveAll()
            let statuses = text.ranges(of: "HTTP/1.1 ").map { Int(text[$0.upperBound...].prefix(3)) ?? 0 }
            let expected = request.goesOn ? [request.status, 200] : [request.status]
            #expect(
                statuses.filter { $0 != 100 } == expected,
                "\(request.name) (\(request.demand)): \(text.prefix(300))"
            )
            #expect(text.contains("host probe.") == request.goesOn, "\(request.name)")
            #expect(smuggled.value == 0, "\(request.name)")
            let faults = server.count(of: .malformedRequest) + server.count(of: .malformedBody)
            #expect(faults == (request.status == 200 ? 0 : 1), "\(request.name)")
        }
    }

    @Test func `the corpus is large and names each request once`() {
        #expect(RawRequest.corpus.count >= 90)
        #expect(Set(RawRequest.corpus.map(\.name)).count == RawRequest.corpus.count)
    }

    @Test func `an absolute target's authority counts instead of the host field`() async throws {
        try await withServer(handler: Self.handler(Counter())) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send("GET http://right:81/a HTTP/1.1\r\nhost: wrong\r\nconnection: close\r\n\r\n")
            #expect(try await peer.receiveAll().hasSuffix("host right:81."))
        }
    }

    @Test func `any split of a request is the same request`() async throws {
        let bytes = Array(
            "POST /a?b=c HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nx-long: \(String(repeating: "v", count: 300))\r\n\r\nhello"
                .utf8
        )
        try await withServer(handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            for byte in bytes { try await peer.send([byte]) }
            #expect(try await peer.receive(until: "hello").contains(#"POST ["a"] b=c hello"#))
        }
    }

    @Test func `a body over the limit ends the connection with 413`() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.maximumBodyBytes = 10
        try await withServer(configuration: configuration, handler: HTTPServerTests.echo) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(
                "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nc\r\n0123456789ab\r\n0\r\n\r\n"
            )
            #expect(try await peer.receiveAll().hasPrefix("HTTP/1.1 413 "))
        }
    }
}
