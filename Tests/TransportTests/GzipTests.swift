import Base
import EventLoop
import FoundationEssentials
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite struct GzipTests {
    @Test(arguments: [
        ("gzip", true), ("GZIP", true), ("x-gzip", true), ("deflate, gzip;q=1.0, *;q=0.5", true), ("*", true),
        ("br, gzip ; q=0.1", true), ("", false), ("identity", false), ("br", false), ("gzip;q=0", false),
        ("gzip;q=0, *", false), ("*;q=0", false), ("gzip;q=0.2, identity;q=0.9", false), ("gzip;q=nonsense", false),
        ("gzip;q=0.5, identity;q=0.5", true), ("identity;q=0, gzip;q=0.001", true), ("gzipped", false),
    ]) func `gzip is chosen where the client wants it`(value: String, isAccepted: Bool) {
        #expect(ContentCoding.acceptsGzip([value]) == isAccepted)
        #expect(!ContentCoding.acceptsGzip([]))
    }

    @Test(arguments: [
        ("application/json", true), ("text/plain; charset=utf-8", true), ("TEXT/HTML", true),
        ("application/problem+json", true), ("image/svg+xml", true), ("application/javascript;x", true),
        ("text/event-stream", false), ("image/png", false), ("application/octet-stream", false),
        ("application/gzip", false), ("application/zip", false), ("", false),
    ]) func `texts are compressible`(type: String, isCompressible: Bool) {
        #expect(ContentCoding.isCompressible(type) == isCompressible)
    }

    static let text = CompressionTests.text

    static let handler: HTTPHandler = { request in
        let json: HTTPHeaders = ["content-type": "application/json", "etag": #""v1""#]
        switch request.path {
        case "/small": return .json(Array(text[..<1000]))
        case "/medium": return HTTPResponse(headers: json, body: .bytes(Array(text[..<5000])))
        case "/large": return HTTPResponse(headers: json, body: .bytes(text))
        case "/encoded":
            return HTTPResponse(
                headers: ["content-type": "text/plain", "content-encoding": "br"],
                body: .bytes(Array(text[..<5000]))
            )
        case "/kept":
            return HTTPResponse(
                headers: ["content-type": "text/plain", "cache-control": "private, no-transform"],
                body: .bytes(Array(text[..<5000]))
            )
        case "/stream":
            return HTTPResponse(
                headers: ["content-type": "text/plain"],
                body: .stream(length: text.count) { writer in
                    var rest = text[...]
                    while !rest.isEmpty {
                        try await writer.write(Array(rest.prefix(10_000)))
                        rest = rest.dropFirst(10_000)
                    }
                }
            )
        default: return .text("none", status: 404)
        }
    }

    /// What came back, unpacked; nil where it was not packed.
    private func fetch(
        _ address: SocketAddress,
        _ loop: EventLoop,
        _ request: String,
        _ fields: String = "accept-encoding: gzip\r\n"
    ) async throws -> (head: String, unpacked: [UInt8]?, count: Int) {
        let peer = try await RawPeer.connect(address, on: loop)
        try await peer.send("\(request) HTTP/1.0\r\n\(fields)\r\n")
        let bytes = try await peer.receiveBytes()
        let end = bytes.indices.first { bytes[$0...].starts(with: Array("\r\n\r\n".utf8)) } ?? bytes.endIndex
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        let body = Array(bytes[end...].dropFirst(4))
        guard head.contains("content-encoding: gzip"), !body.isEmpty else { return (head, nil, body.count) }
        var unpacked: [UInt8] = []
        let progress = try Inflater(.gzip).inflate(body, into: &unpacked, limit: 10_000_000)
        #expect(progress == .ended(consumed: body.count))
        return (head, unpacked, body.count)
    }

    @Test(arguments: ["/medium", "/large", "/stream"])
    func `a text is compressed for who asks for it, and says that it varies`(path: String) async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            let expected = path == "/medium" ? Array(Self.text[..<5000]) : Self.text
            let packed = try await fetch(address, loop, "GET \(path)")
            #expect(packed.unpacked == expected && packed.count < expected.count / 10)
            #expect(packed.head.contains("vary: accept-encoding"))
            let plain = try await fetch(address, loop, "GET \(path)", "accept-encoding: br\r\n")
            #expect(plain.unpacked == nil && plain.count == expected.count)
            #expect(plain.head.contains("vary: accept-encoding") && !plain.head.contains("content-encoding"))
            let head = try await fetch(address, loop, "HEAD \(path)")
            #expect(head.count == 0 && head.head.contains("content-encoding: gzip"))
            #expect(head.head.contains("vary: accept-encoding"))
            // Where it says a length at all, it is the compressed one's.
            #expect(!head.head.contains("content-length"))
        }
    }

    @Test(arguments: ["/small", "/encoded", "/kept"])
    func `what would not gain by it is left as it is`(path: String) async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            let answer = try await fetch(address, loop, "GET \(path)")
            #expect(answer.unpacked == nil && answer.count > 0 && !answer.head.contains("vary"))
        }
    }

    @Test func `the tag of a compressed answer is weak and still finds it unchanged`() async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            #expect(try await fetch(address, loop, "GET /medium").head.contains(#"etag: W/"v1""#))
            #expect(try await fetch(address, loop, "GET /medium", "").head.contains(#"etag: "v1""#))
            let known = try await fetch(
                address,
                loop,
                "GET /medium",
                "accept-encoding: gzip\r\nif-none-match: W/\"v1\"\r\n"
            )
            #expect(known.head.hasPrefix("HTTP/1.1 304 ") && known.head.contains(#"etag: W/"v1""#) && known.count == 0)
            #expect(!known.head.contains("content-encoding") && known.head.contains("vary: accept-encoding"))
        }
    }

    @Test func `a file of text is compressed whole, and a part of it is not`() async throws {
        try await SelectionTests.withFile(Self.text, type: "text/css") { loop, address, _ in
            #expect(try await fetch(address, loop, "GET /").unpacked == Self.text)
            let part = try await fetch(address, loop, "GET /", "accept-encoding: gzip\r\nrange: bytes=0-9\r\n")
            #expect(part.head.hasPrefix("HTTP/1.1 206 ") && part.unpacked == nil && part.count == 10)
        }
    }

    @Test func `compression can be turned off`() async throws {
        let configuration = DeadlineTests.short { $0.compresses = false }
        try await withServer(configuration: configuration, handler: Self.handler) { _, loop, address in
            let answer = try await fetch(address, loop, "GET /large")
            #expect(answer.count == Self.text.count && !answer.head.contains("vary"))
        }
    }

    @Test func `only so many answers are compressed at once; the others go out plain`() async throws {
        let (gate, opening) = AsyncStream.makeStream(of: Void.self)
        let waiting = Counter()
        let handler: HTTPHandler = { request in
            guard request.path == "/wait" else { return try await Self.handler(request) }
            return HTTPResponse(
                headers: ["content-type": "text/plain"],
                body: .stream(length: nil) { writer in
                    try await writer.write("first\n")
                    waiting.add(1)
                    for await _ in gate { break }
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            var held: [RawSocket] = []
            for _ in 0..<GzipWriter.Pool.limit {
                let peer = try await RawSocket.connect(address, on: loop)
                try await peer.send("GET /wait HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n")
                // What is written comes out at once, although the answer goes on.
                #expect(try await peer.read(until: "\r\n\r\n").contains("content-encoding: gzip"))
                held.append(peer)
            }
            #expect(try await eventually(loop) { waiting.value == GzipWriter.Pool.limit })
            let plain = try await fetch(address, loop, "GET /medium")
            #expect(plain.unpacked == nil && plain.count == 5000)
            opening.finish()
            for peer in held { await peer.close() }
            #expect(try await eventually(loop) { try await fetch(address, loop, "GET /medium").unpacked != nil })
        }
    }
}
