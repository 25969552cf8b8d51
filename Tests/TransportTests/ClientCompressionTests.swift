import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct ClientCompressionTests {
    private static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        var output: [UInt8] = []
        try Deflater(.gzip).deflate(bytes, flush: .finish, into: &output)
        return output
    }

    /// A server that says `body` with `encoding` and what the client accepts.
    private func withBody(
        _ body: [UInt8],
        encoding: String = "gzip",
        _ use: (HTTPClient, HTTPURL, EventLoop) async throws -> Void
    ) async throws {
        let handler: HTTPHandler = { request in
            var response = HTTPResponse(
                body: .stream(length: body.count) { writer in
                    for start in stride(from: 0, to: body.count, by: 1000) {
                        try await writer.write(Array(body[start..<min(start + 1000, body.count)]))
                    }
                }
            )
            response.headers.set("content-encoding", encoding)
            response.headers.set("x-accepted", request.headers["accept-encoding"] ?? "nothing")
            return response
        }
        try await withServer(handler: handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            try await use(client, address.url(), loop)
            await client.close()
        }
    }

    @Test func `a compressed body arrives expanded, also in several members`() async throws {
        let text = Array(String(repeating: "all that glitters is not gold. ", count: 20_000).utf8)
        try await withBody(Self.gzip(text) + Self.gzip([1, 2, 3])) { client, url, _ in
            for _ in 0..<2 {
                let answer = try await client.fetch(.init(.get, url))
                #expect(answer.body == text + [1, 2, 3])
                #expect(answer.headers["content-encoding"] == nil)
                #expect(answer.headers["content-length"] == nil)
                #expect(answer.headers["x-accepted"] == "gzip")
            }
        }
    }

    @Test func `a body that is small and becomes large is bounded`() async throws {
        let bomb = try Self.gzip([UInt8](repeating: 0, count: 64 << 20))
        #expect(bomb.count < 80_000)
        try await withBody(bomb) { client, url, _ in
            await #expect {
                _ = try await client.fetch(.init(.get, url), upTo: 1 << 20)
            } throws: {
                ($0 as? BerthError)?.code == .tooLarge
            }
            let response = try await client.send(.init(.get, url))
            var count = 0
            while let piece = try await response.body.next() {
                #expect(piece.count <= 1 << 20)
                count += piece.count
            }
            #expect(count == 64 << 20)
        }
    }

    @Test func `a body that is cut or is not gzip is an error`() async throws {
        let whole = try Self.gzip(Array("hello".utf8))
        for (body, says) in [
            (Array(whole.dropLast(4)), "ends half-way"), (Array("plain".utf8), "not what gzip makes"),
        ] {
            try await withBody(body) { client, url, _ in
                await #expect {
                    _ = try await client.fetch(.init(.get, url))
                } throws: {
                    "\($0)".contains(says)
                }
            }
        }
    }

    @Test func `a response without a body may still tell of a compression`() async throws {
        try await withBody([]) { client, url, _ in
            for method in [HTTPMethod.get, .head] {
                let answer = try await client.fetch(.init(method, url))
                #expect(answer.body.isEmpty)
            }
        }
    }

    @Test func `who says what it accepts gets it as it is`() async throws {
        let packed = try Self.gzip([1])
        try await withBody(packed) { client, url, loop in
            var configuration = HTTPClientConfiguration()
            configuration.decompresses = false
            let plain = HTTPClient(loop: loop, configuration: configuration)
            let answer = try await plain.fetch(.init(.get, url))
            #expect(answer.body == packed)
            #expect(answer.headers["x-accepted"] == "nothing")
            let own = try await client.fetch(.init(.get, url, headers: ["accept-encoding": "identity"]))
            #expect(own.headers["x-accepted"] == "identity")
            await plain.close()
        }
        try await withBody([7], encoding: "br") { client, url, _ in
            let answer = try await client.fetch(.init(.get, url))
            #expect(answer.body == [7])
            #expect(answer.headers["content-encoding"] == "br")
        }
    }
}
