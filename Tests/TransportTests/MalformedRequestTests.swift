import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct MalformedRequestTests {
    /// What is wrong, the bytes, and the statuses that are right. After each the connection must be closed, and the
    /// `/smuggled` that several of them carry must never reach the handler.
    static let cases: [(String, String, [Int])] = [
        (
            "content-length and transfer-encoding",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
            [400]
        ),
        (
            "transfer-encoding and content-length",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", [400]
        ),
        ("two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!", [400]),
        ("a list of lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 5\r\n\r\nhello", [400]),
        ("a signed length", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nhello", [400]),
        ("a negative length", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\nhello", [400]),
        (
            "a length beyond 64 bits", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
            [400]
        ),
        ("a length with a space inside", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1 2\r\n\r\n", [400]),
        (
            "chunked before gzip", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            [400, 501]
        ),
        (
            "gzip before chunked", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            [501]
        ),
        (
            "an unknown coding", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            [400, 501]
        ),
        (
            "two transfer-encodings",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
            [400, 501]
        ),
        ("a coding in version 1.0", "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", [400]),
        (
            "a coding hidden by a vertical tab",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\u{0B}chunked\r\n\r\n0\r\n\r\n", [400, 501]
        ),
        (
            "a bad chunk size",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
            [400]
        ),
        (
            "a chunk size with 0x",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", [400]
        ),
        (
            "a chunk longer than it says",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
            [400]
        ),
        (
            "a chunk size that ends with LF alone",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", [400]
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n", [400]),
        ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", [400]),
        ("a host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", [400]),
        ("a host with a user", "GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", [400]),
        ("a host with a space", "GET / HTTP/1.1\r\nhost: a b\r\n\r\n", [400]),
        ("a folded field", "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n", [400]),
        ("a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n", [400]),
        ("a field without a colon", "GET / HTTP/1.1\r\nhost: x\r\nabc\r\n\r\n", [400]),
        ("a field without a name", "GET / HTTP/1.1\r\nhost: x\r\n: abc\r\n\r\n", [400]),
        ("a space before the first field", "GET / HTTP/1.1\r\n host: x\r\n\r\n", [400]),
        ("NUL in a value", "GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n", [400]),
        ("NUL in a name", "GET / HTTP/1.1\r\nhost: x\r\na\0: b\r\n\r\n", [400]),
        ("CR alone in a value", "GET / HTTP/1.1\r\nhost: x\r\na: b\rc\r\n\r\n", [400]),
        ("lines that end with LF alone", "GET / HTTP/1.1\nhost: x\n\n", [400, 505]),
        ("version 2.0", "GET / HTTP/2.0\r\nhost: x\r\n\r\n", [505, 400]),
        ("version 0.9", "GET /\r\n\r\n", [400, 505]),
        ("version 1.2", "GET / HTTP/1.2\r\nhost: x\r\n\r\n", [505, 400]),
        ("a version in lower case", "GET / http/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a method in lower case", "get / HTTP/1.1\r\nhost: x\r\n\r\n", [400, 501]),
        ("an unknown method", "BREW / HTTP/1.1\r\nhost: x\r\n\r\n", [400, 501]),
        ("CONNECT", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", [400, 501, 405]),
        ("TRACE", "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n", [501, 405]),
        ("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 505, 501]),
        ("a target without a slash", "GET abc HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a target with a fragment", "GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a target with a broken escape", "GET /a%2 HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a target with an encoded NUL", "GET /a%00 HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a target that is not UTF-8", "GET /a%FF HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("a space in the target", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", [400, 505]),
        ("a star for GET", "GET * HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("another scheme", "GET ftp://x/ HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
        ("an unknown expectation", "POST / HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\ncontent-length: 1\r\n\r\na", [417]),
        ("a target that is too long", "GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nhost: x\r\n\r\n", [414]),
        (
            "a field that is too long",
            "GET / HTTP/1.1\r\nhost: x\r\na: \(String(repeating: "a", count: 20000))\r\n\r\n", [431]
        ),
        ("too many fields", "GET / HTTP/1.1\r\nhost: x\r\n\(String(repeating: "a: b\r\n", count: 200))\r\n", [431]),
        (
            "endless white space", "GET / HTTP/1.1\r\nhost: x\r\na:\(String(repeating: " ", count: 200_000))b\r\n\r\n",
            [431]
        ),
        ("an announced body that is too large", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n", [413]),
        ("a TLS client's hello", "\u{16}\u{03}\u{01}\u{00}\u{A5}\u{01}\u{00}\u{00}", [400]),
    ]

    @Test(arguments: Array(cases.indices))
    func `a malformed request is refused and its connection closed`(index: Int) async throws {
        let (name, bytes, statuses) = Self.cases[index]
        let smuggled = Counter()
        var configuration = HTTPServerConfiguration()
        configuration.maximumBodyBytes = 1_000_000
        let handler: HTTPHandler = { request in
            if request.path == "/smuggled" { smuggled.add(1) }
            do {
                _ = try await request.body.collect(upTo: 1 << 20)
            } catch let error as BerthError where error.code == .invalidRequest {
                return .text("", status: 400)
            }
            return .text("ok")
        }
        try await withServer(configuration: configuration, handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(bytes)
            let text = try await peer.receiveAll()
            let status = Int(text.dropFirst(9).prefix(3)) ?? 0
            #expect(statuses.contains(status), "\(name): \(text.prefix(60))")
            #expect(text.ranges(of: "HTTP/1.1 ").count == 1, "\(name)")
            #expect(smuggled.value == 0, "\(name)")
        }
    }

    static let good: [(String, String)] = [
        ("a leading empty line", "\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        ("an empty host", "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n"),
        ("a host with a port", "GET / HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: close\r\n\r\n"),
        ("the absolute form", "GET http://example.com/a?b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        ("version 1.0 without a host", "GET / HTTP/1.0\r\n\r\n"),
        ("OPTIONS of everything", "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        ("an empty value", "GET / HTTP/1.1\r\nhost: x\r\na:\r\nb: c\r\nconnection: close\r\n\r\n"),
        ("another upgrade", "GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n"),
        (
            "a trailer",
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nb: c\r\n\r\n"
        ),
    ]

    @Test(arguments: Array(good.indices))
    func `an unusual request that is right is answered`(index: Int) async throws {
        let (name, bytes) = Self.good[index]
        try await withServer(handler: { _ in .text("fine") }) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop)
            try await peer.send(bytes)
            let text = try await peer.receiveAll()
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("fine"), "\(name): \(text)")
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
