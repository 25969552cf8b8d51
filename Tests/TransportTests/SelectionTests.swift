import Base
import EventLoop
import FoundationEssentials
import TestSupport
import Testing

@testable import Transport

@Suite struct SelectionTests {
    static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

    /// Fields of the request, and what a GET of ten bytes with the tag `"a"` and the date is answered with.
    static let cases: [([(String, String)], Selection)] = [
        ([], .whole),
        ([("if-none-match", #""a""#)], .notModified),
        ([("if-none-match", #"W/"a""#)], .notModified),
        ([("if-none-match", #""b", W/"a""#)], .notModified),
        ([("if-none-match", #""b""#), ("if-none-match", #""a""#)], .notModified),
        ([("if-none-match", "*")], .notModified),
        ([("if-none-match", #""b,""#)], .whole),
        ([("if-none-match", "a")], .whole),
        ([("if-none-match", #""b" "a""#)], .whole),
        ([("if-modified-since", date)], .notModified),
        ([("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], .notModified),
        ([("if-modified-since", "Sun Nov  6 08:49:37 1994")], .notModified),
        ([("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], .whole),
        ([("if-modified-since", "yesterday")], .whole),
        // The tag decides where both are given (RFC 9110, section 13.1.3).
        ([("if-none-match", #""b""#), ("if-modified-since", date)], .whole),
        ([("if-match", #""a""#)], .whole),
        ([("if-match", "*")], .whole),
        ([("if-match", #"W/"a""#)], .preconditionFailed),
        ([("if-match", #""b""#)], .preconditionFailed),
        ([("if-match", #""b""#), ("if-none-match", #""a""#)], .preconditionFailed),
        ([("if-unmodified-since", date)], .whole),
        ([("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], .preconditionFailed),
        ([("if-match", #""a""#), ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], .whole),
        ([("range", "bytes=0-0")], .part(0..<1)),
        ([("range", "bytes=2-5")], .part(2..<6)),
        ([("range", "Bytes = 2-5")], .part(2..<6)),
        ([("range", "bytes=9-")], .part(9..<10)),
        ([("range", "bytes=5-500")], .part(5..<10)),
        ([("range", "bytes=-3")], .part(7..<10)),
        ([("range", "bytes=-300")], .part(0..<10)),
        ([("range", "bytes=0-99999999999999999999999")], .part(0..<10)),
        ([("range", "bytes=10-")], .unsatisfiable),
        ([("range", "bytes=99999999999999999999999-")], .unsatisfiable),
        ([("range", "bytes=-0")], .unsatisfiable),
        ([("range", "bytes=5-2")], .whole),
        ([("range", "bytes=")], .whole),
        ([("range", "bytes=-")], .whole),
        ([("range", "bytes=a-b")], .whole),
        ([("range", "bytes=--3")], .whole),
        ([("range", "bytes=+1-2")], .whole),
        ([("range", "lines=1-2")], .whole),
        // Several parts are answered with the whole, which section 14.2 leaves to the server.
        ([("range", "bytes=0-1,3-4")], .whole),
        ([("range", "bytes=0-1"), ("range", "bytes=3-4")], .whole),
        ([("range", "bytes=0-1"), ("if-range", #""a""#)], .part(0..<2)),
        ([("range", "bytes=0-1"), ("if-range", #"W/"a""#)], .whole),
        ([("range", "bytes=0-1"), ("if-range", #""b""#)], .whole),
        ([("range", "bytes=0-1"), ("if-range", date)], .part(0..<2)),
        ([("range", "bytes=0-1"), ("if-range", "Sun, 06 Nov 1994 08:49:38 GMT")], .whole),
        ([("range", "bytes=0-1"), ("if-none-match", #""a""#)], .notModified),
    ]

    @Test(arguments: Array(cases.indices))
    func `a condition or a range selects what it should`(index: Int) {
        let (fields, expected) = Self.cases[index]
        let representation = Selection.Representation(
            entityTag: #""a""#,
            lastModified: Self.date,
            length: 10,
            now: 1_800_000_000
        )
        #expect(Selection(HTTPHeaders(fields), isGet: true, representation) == expected, "\(fields)")
        let forHead = Selection(HTTPHeaders(fields), isGet: false, representation)
        switch expected {
        case .part, .unsatisfiable: #expect(forHead == .whole)
        default: #expect(forHead == expected)
        }
    }

    @Test func `what has no validators knows no conditions, and what is empty no parts`() {
        let bare = Selection.Representation(entityTag: nil, lastModified: nil, length: nil, now: 0)
        for (fields, _) in Self.cases { #expect(Selection(HTTPHeaders(fields), isGet: true, bare) == .whole) }
        let empty = Selection.Representation(entityTag: nil, lastModified: nil, length: 0, now: 0)
        #expect(Selection([("range", "bytes=0-")].headers, isGet: true, empty) == .whole)
        #expect(Selection([("range", "bytes=-5")].headers, isGet: true, empty) == .whole)
    }

    @Test func `dates read back as they were written`() {
        for seconds: Int64 in [0, 784_111_777, 951_782_399, 951_782_400, 1_709_164_800, 4_102_444_799] {
            #expect(HTTPDate.seconds(HTTPDate.text(secondsSinceEpoch: seconds), now: 1_800_000_000) == seconds)
        }
        // Two digits stand for a year at most 50 ahead.
        #expect(HTTPDate.seconds("Friday, 01-Jan-99 00:00:00 GMT", now: 1_800_000_000) == 915_148_800)
        for wrong in [
            "", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:00:00 GMT",
        ] {
            #expect(HTTPDate.seconds(wrong, now: 0) == nil, "\(wrong)")
        }
    }

    // MARK: Files

    static func withFile(
        _ bytes: [UInt8],
        type: String = "application/octet-stream",
        _ body: (EventLoop, SocketAddress, String) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("file")
        try Data(bytes).write(to: URL(filePath: path))
        let handler: HTTPHandler = { _ in
            guard let file = try OpenFile(path: path) else { return .text("gone", status: 404) }
            return HTTPResponse(headers: ["content-type": type], body: .file(file))
        }
        try await withServer(handler: handler) { _, loop, address in try await body(loop, address, path) }
    }

    @Test func `a file is sent whole, in parts, or not at all`() async throws {
        let bytes = CompressionTests.noise(1_000_000)
        try await Self.withFile(bytes) { loop, address, path in
            let client = HTTPClient(loop: loop)
            func fetch(_ method: HTTPMethod = .get, _ headers: HTTPHeaders = [:]) async throws
                -> (status: Int, headers: HTTPHeaders, body: [UInt8])
            {
                try await client.fetch(HTTPClientRequest(method, address.url(), headers: headers))
            }
            let whole = try await fetch()
            #expect(whole.status == 200 && whole.body == bytes && whole.headers["accept-ranges"] == "bytes")
            let tag = try #require(whole.headers["etag"])
            #expect(tag.hasPrefix("\"") && whole.headers["last-modified"]?.hasSuffix("GMT") == true)
            let part = try await fetch(.get, ["range": "bytes=300000-799999", "if-range": tag])
            #expect(part.status == 206 && part.body == Array(bytes[300_000..<800_000]))
            #expect(part.headers["content-range"] == "bytes 300000-799999/1000000")
            #expect(part.headers["etag"] == tag)
            let tail = try await fetch(.get, ["range": "bytes=-7"])
            #expect(tail.status == 206 && tail.body == Array(bytes.suffix(7)))
            let beyond = try await fetch(.get, ["range": "bytes=1000000-"])
            #expect(beyond.status == 416 && beyond.headers["content-range"] == "bytes */1000000" && beyond.body == [])
            let known = try await fetch(.get, ["if-none-match": tag])
            #expect(known.status == 304 && known.body == [] && known.headers["etag"] == tag)
            #expect(known.headers["content-type"] == nil)
            let head = try await fetch(.head, ["range": "bytes=0-1"])
            #expect(head.status == 200 && head.headers["content-length"] == "1000000" && head.body == [])
            // Another file of the same name is another one.
            try Data(bytes.reversed()).write(to: URL(filePath: path), options: .atomic)
            let changed = try await fetch(.get, ["range": "bytes=0-9", "if-range": tag])
            #expect(changed.status == 200 && changed.headers["etag"] != tag)
            await client.close()
        }
    }

    @Test func `a file is read only as fast as it is taken, and stays what it was`() async throws {
        let bytes = CompressionTests.noise(4_000_000)
        try await Self.withFile(bytes) { loop, address, path in
            let peer = try await RawSocket.connect(address, on: loop, receiveBuffer: 65536)
            try await peer.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            var all: [UInt8] = try await peer.read(100) ?? []
            try FileManager.default.removeItem(atPath: path)
            while let more = try await peer.read() { all += more }
            #expect(Array(all.suffix(bytes.count)) == bytes)
            let next = try await RawSocket.connect(address, on: loop)
            try await next.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            #expect(try await next.readAll().hasPrefix("HTTP/1.1 404 "))
        }
    }

    @Test func `what is no regular file is none`() throws {
        #expect(try OpenFile(path: "/nowhere/at/all") == nil)
        #expect(try OpenFile(path: "/tmp") == nil)
        #expect(try OpenFile(path: "/dev/null") == nil)
    }
}

extension [(String, String)] {
    fileprivate var headers: HTTPHeaders { HTTPHeaders(self) }
}
