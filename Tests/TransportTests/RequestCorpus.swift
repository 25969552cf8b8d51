/// Raw requests with the demand that each rests on. They carry more than 90 ways to be wrong, or unusual and right.
struct RawRequest: Sendable {
    var name: String
    /// Section of RFC 9112 (or of RFC 9110 where it says so).
    var demand: String
    var bytes: [UInt8]
    var status: Int
    /// Whether the connection takes another request afterwards.
    var goesOn: Bool

    static func refused(_ name: String, _ demand: String, _ status: Int, _ text: String) -> RawRequest {
        RawRequest(name: name, demand: demand, bytes: Array(text.utf8), status: status, goesOn: false)
    }

    static func answered(_ name: String, _ demand: String, _ text: String, goesOn: Bool = true) -> RawRequest {
        RawRequest(name: name, demand: demand, bytes: Array(text.utf8), status: 200, goesOn: goesOn)
    }
}

extension RawRequest {
    static let corpus = bodyLengths + codings + chunks + hosts + fields + versions + methods + targets + expectations

    private static let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"

    private static func post(_ fields: String, _ body: String = "", version: String = "1.1") -> String {
        "POST / HTTP/\(version)\r\nhost: x\r\n\(fields)\r\n\(body)"
    }

    static let bodyLengths: [RawRequest] = [
        .refused(
            "length and coding",
            "6.3: an attempt at smuggling",
            400,
            post("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n" + smuggled)
        ),
        .refused(
            "coding and length",
            "6.3",
            400,
            post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n" + smuggled)
        ),
        .refused(
            "coding and a length that hides a request",
            "6.3",
            400,
            post("transfer-encoding: chunked\r\ncontent-length: 4\r\n", "27\r\n" + smuggled + "\r\n0\r\n\r\n")
        ),
        .refused("two lengths", "6.3", 400, post("content-length: 5\r\ncontent-length: 6\r\n", "hello!")),
        .refused(
            "one length twice",
            "6.3: may be refused",
            400,
            post("content-length: 5\r\ncontent-length: 5\r\n", "hello")
        ),
        .refused("a list of lengths", "6.3", 400, post("content-length: 5, 5\r\n", "hello")),
        .refused("a list of different lengths", "6.3", 400, post("content-length: 5, 6\r\n", "hello!")),
        .refused("a signed length", "9110 8.6: digits", 400, post("content-length: +5\r\n", "hello")),
        .refused("a negative length", "9110 8.6", 400, post("content-length: -5\r\n", "hello")),
        .refused("a hexadecimal length", "9110 8.6", 400, post("content-length: 0x5\r\n", "hello")),
        .refused("a length with an exponent", "9110 8.6", 400, post("content-length: 1e1\r\n", "hellohello")),
        .refused("a length with a space inside", "9110 8.6", 400, post("content-length: 1 2\r\n")),
        .refused("a length with a parameter", "9110 8.6", 400, post("content-length: 5;a=b\r\n", "hello")),
        .refused("an empty length", "9110 8.6", 400, post("content-length:\r\n")),
        .refused("a length beyond 64 bits", "6.3", 400, post("content-length: 99999999999999999999\r\n")),
        .refused("a length that wraps to five", "6.3", 400, post("content-length: 18446744073709551621\r\n", "hello")),
        .refused("a body that is too large", "9110 15.5.14", 413, post("content-length: 2000000\r\n")),
        .answered("a length in white space", "5.1", post("content-length: \t 5 \t\r\n", "hello")),
        .answered("a length with zeros before it", "9110 8.6", post("content-length: 00005\r\n", "hello")),
        .answered("an empty body", "6.3", post("content-length: 0\r\n")),
        .answered("a GET with a body", "9110 9.3.1", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"),
    ]

    static let codings: [RawRequest] = [
        .refused(
            "chunked before gzip",
            "6.3: chunked is last",
            400,
            post("transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n")
        ),
        .refused(
            "gzip before chunked",
            "6.1: an unknown coding",
            501,
            post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n")
        ),
        .refused("an unknown coding alone", "6.3", 400, post("transfer-encoding: xchunked\r\n", "0\r\n\r\n")),
        .refused("identity", "6.3: no longer a coding", 400, post("transfer-encoding: identity\r\n", smuggled)),
        .refused(
            "chunked, then identity in a second field",
            "6.3",
            400,
            post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n" + smuggled)
        ),
        .refused("chunked twice", "6.1: once", 400, post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        .refused(
            "chunked in two fields",
            "6.1",
            400,
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")
        ),
        .refused("an empty coding", "6.3", 400, post("transfer-encoding:\r\n", smuggled)),
        .refused("nothing before chunked", "6.1", 400, post("transfer-encoding: ,chunked\r\n", "0\r\n\r\n")),
        .refused("nothing behind chunked", "6.1", 400, post("transfer-encoding: chunked ,\r\n", "0\r\n\r\n")),
        .refused(
            "chunked with a parameter",
            "7.1: has none",
            400,
            post("transfer-encoding: chunked;a=b\r\n", "0\r\n\r\n")
        ),
        .refused("chunked in quotes", "6.1: a token", 400, post("transfer-encoding: \"chunked\"\r\n", "0\r\n\r\n")),
        .refused("a space before the coding's colon", "5.1", 400, post("transfer-encoding : chunked\r\n", "0\r\n\r\n")),
        .refused("a folded coding", "5.2", 400, post("transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n")),
        .refused(
            "a vertical tab before chunked",
            "9110 5.5",
            400,
            post("transfer-encoding:\u{0B}chunked\r\n", "0\r\n\r\n")
        ),
        .refused("NUL before chunked", "9110 5.5", 400, post("transfer-encoding: \0chunked\r\n", "0\r\n\r\n")),
        .refused(
            "a coding in version 1.0",
            "6.1",
            400,
            post("transfer-encoding: chunked\r\n", "0\r\n\r\n", version: "1.0")
        ),
        .answered("chunked in capitals", "6.1", post("Transfer-Encoding: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n")),
        .answered("chunked behind a tab", "5.1", post("transfer-encoding:\tchunked \r\n", "5\r\nhello\r\n0\r\n\r\n")),
        .answered("a field of nearly that name", "5.1: only that name", post("transfer_encoding: chunked\r\n")),
    ]

    private static func chunked(_ body: String) -> String { post("transfer-encoding: chunked\r\n", body) }

    static let chunks: [RawRequest] = [
        .refused("a size that is no number", "7.1", 400, chunked("xyz\r\n\r\n" + smuggled)),
        .refused("a size with 0x", "7.1", 400, chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        .refused("a negative size", "7.1", 400, chunked("-5\r\nhello\r\n0\r\n\r\n")),
        .refused("a signed size", "7.1", 400, chunked("+5\r\nhello\r\n0\r\n\r\n")),
        .refused("a space before the size", "7.1", 400, chunked(" 5\r\nhello\r\n0\r\n\r\n")),
        .refused("a space behind the size", "7.1", 400, chunked("5 \r\nhello\r\n0\r\n\r\n")),
        .refused("an empty size", "7.1", 400, chunked("\r\nhello\r\n0\r\n\r\n")),
        .refused("a size beyond 64 bits", "7.1", 400, chunked("10000000000000005\r\nhello\r\n0\r\n\r\n")),
        .refused("more than the size says", "7.1", 400, chunked("3\r\nhello\r\n0\r\n\r\n" + smuggled)),
        .refused("no line end behind the data", "7.1", 400, chunked("5\r\nhelloXX0\r\n\r\n" + smuggled)),
        .refused("a size that ends with LF alone", "7.1", 400, chunked("5\nhello\r\n0\r\n\r\n")),
        .refused("data that ends with LF alone", "7.1", 400, chunked("5\r\nhello\n0\r\n\r\n")),
        .refused("CR alone in an extension", "7.1.1", 400, chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")),
        .refused("LF in a quoted extension", "7.1.1", 400, chunked("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n")),
        .refused("an endless extension", "7.1.1: a limit", 400, chunked("5;\(long)\r\nhello\r\n0\r\n\r\n")),
        .refused("an endless trailer", "7.1.2", 400, chunked("0\r\na: \(long)\r\n\r\n")),
        .refused("a trailer with a space before its colon", "5.1", 400, chunked("0\r\na : b\r\n\r\n")),
        .refused("a folded trailer", "5.2", 400, chunked("0\r\na: b\r\n c\r\n\r\n")),
        .answered("an extension", "7.1.1: ignored", chunked("5;a=b\r\nhello\r\n0;c\r\n\r\n")),
        .answered("a quoted extension", "7.1.1", chunked("5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n")),
        .answered("a size with zeros and letters", "7.1", chunked("0000A\r\nhellohello\r\n000\r\n\r\n")),
        .answered("a trailer", "7.1.2", chunked("5\r\nhello\r\n0\r\na: b\r\n\r\n")),
        .answered("a GET in chunks", "6", "GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ]

    static let long = String(repeating: "a", count: 20_000)

    private static func get(_ fields: String, target: String = "/", version: String = "HTTP/1.1") -> String {
        "GET \(target) \(version)\r\n\(fields)\r\n"
    }

    static let hosts: [RawRequest] = [
        .refused("no host", "3.2", 400, get("")),
        .refused("no host beside an absolute target", "3.2", 400, get("", target: "http://x/")),
        .refused("two hosts", "3.2", 400, get("host: a\r\nhost: b\r\n")),
        .refused("one host twice", "3.2", 400, get("host: a\r\nhost: a\r\n")),
        .refused("a host with a path", "3.2", 400, get("host: a/b\r\n")),
        .refused("a host with a user", "3.2", 400, get("host: u@a\r\n")),
        .refused("a host with a space", "3.2", 400, get("host: a b\r\n")),
        .refused("a list of hosts", "3.2", 400, get("host: a, b\r\n")),
        .refused("a port that is none", "3.2", 400, get("host: a:b\r\n")),
        .refused("an open bracket", "3.2", 400, get("host: [::1\r\n")),
        .answered("an empty host", "3.2", get("host:\r\n")),
        .answered("an IPv6 address with a port", "3.2", get("host: [::1]:8080\r\n")),
        .answered(
            "an absolute target, another host",
            "3.2.2: the target counts",
            get("host: y\r\n", target: "http://x/a?b")
        ),
        .answered("an absolute target without a path", "3.2.2", get("host: x\r\n", target: "HTTP://x:80")),
    ]

    static let fields: [RawRequest] = [
        .refused("a folded field", "5.2", 400, get("host: x\r\na: b\r\n c\r\n")),
        .refused("a space before the colon", "5.1", 400, get("host : x\r\n")),
        .refused("no colon", "5", 400, get("host: x\r\nabc\r\n")),
        .refused("no name", "5", 400, get("host: x\r\n: abc\r\n")),
        .refused("a space before the first field", "2.2", 400, get(" host: x\r\n")),
        .refused("a name that is no token", "9110 5.1", 400, get("host: x\r\na(b): c\r\n")),
        .refused("a name with a letter beyond ASCII", "9110 5.1", 400, get("host: x\r\né: c\r\n")),
        .refused("NUL in a value", "9110 5.5", 400, get("host: x\r\na: b\0c\r\n")),
        .refused("NUL in a name", "9110 5.5", 400, get("host: x\r\na\0: b\r\n")),
        .refused("CR alone in a value", "9110 5.5", 400, get("host: x\r\na: b\rc\r\n")),
        .refused("a control byte in a value", "9110 5.5", 400, get("host: x\r\na: b\u{01}c\r\n")),
        .refused("lines that end with LF alone", "2.2", 400, "GET / HTTP/1.1\nhost: x\n\n"),
        .refused("a field that ends with LF alone", "2.2", 400, "GET / HTTP/1.1\r\nhost: x\na: b\r\n\r\n"),
        .refused("a line that ends with CR CR LF", "2.2", 400, "GET / HTTP/1.1\r\r\nhost: x\r\n\r\n"),
        .refused("a field that is too long", "9110 5.4", 431, get("host: x\r\na: \(long)\r\n")),
        .refused("too many fields", "9110 5.4", 431, get("host: x\r\n" + String(repeating: "a: b\r\n", count: 200))),
        .refused(
            "endless white space",
            "9110 5.4",
            431,
            get("host: x\r\na:\(String(repeating: " ", count: 200_000))b\r\n")
        ),
        .answered("an empty line before the request", "2.2", "\r\n" + get("host: x\r\n")),
        .answered("an empty value", "5", get("host: x\r\na:\r\nb: c\r\n")),
        .answered("a tab in a value", "9110 5.5", get("host: x\r\na: b\tc\r\n")),
        .answered("bytes beyond ASCII in a value", "9110 5.5: opaque", get("host: x\r\na: é\r\n")),
    ]

    static let versions: [RawRequest] = [
        .refused("version 2.0", "9110 15.6.6", 505, get("host: x\r\n", version: "HTTP/2.0")),
        .refused("version 3.0", "9110 15.6.6", 505, get("host: x\r\n", version: "HTTP/3.0")),
        .refused("version 1.2", "9110 15.6.6", 505, get("host: x\r\n", version: "HTTP/1.2")),
        .refused("version 0.9", "9110 15.6.6", 505, "GET /\r\n\r\n"),
        .refused("HTTP/2 without asking", "9110 15.6.6", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        .refused("a version in lower case", "2.3", 400, get("host: x\r\n", version: "http/1.1")),
        .refused("a version without its second digit", "2.3", 400, get("host: x\r\n", version: "HTTP/1")),
        .refused("a version with three digits", "2.3", 400, get("host: x\r\n", version: "HTTP/1.10")),
        .refused("another protocol", "2.3", 400, get("host: x\r\n", version: "HTTPS/1.1")),
        .refused("a TLS client's hello", "2.2", 400, "\u{16}\u{03}\u{01}\u{00}\u{A5}\u{01}\u{00}\u{00}"),
        .answered("version 1.0 without a host", "3.2", get("", version: "HTTP/1.0"), goesOn: false),
        .answered("version 1.0 that is kept", "9.3", get("connection: keep-alive\r\n", version: "HTTP/1.0")),
        .answered("a close", "9.6", get("host: x\r\nconnection: close\r\n"), goesOn: false),
        .answered("close among others", "9.6", get("host: x\r\nconnection: a, Close\r\n"), goesOn: false),
    ]

    static let methods: [RawRequest] = [
        .refused("a method in lower case", "9110 9.1: case counts", 501, "get / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .refused("an unknown method", "9110 9.1", 501, "BREW / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .refused("a method of WebDAV", "9110 9.1", 501, "PROPFIND / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .refused("CONNECT", "9110 9.3.6", 501, "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"),
        .refused("TRACE", "9110 9.3.8", 501, "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .refused("a method that is no token", "9110 9.1", 400, "G@T / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .refused("no method", "3", 400, " / HTTP/1.1\r\nhost: x\r\n\r\n"),
        .answered("OPTIONS of everything", "3.2.4", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"),
    ]

    static let targets: [RawRequest] = [
        .refused("a target without a slash", "3.2", 400, get("host: x\r\n", target: "abc")),
        .refused("a fragment", "3.2", 400, get("host: x\r\n", target: "/a#b")),
        .refused("a broken escape", "3.2", 400, get("host: x\r\n", target: "/a%2")),
        .refused("an escape that is none", "3.2", 400, get("host: x\r\n", target: "/a%zz")),
        .refused("a space", "3.2", 400, get("host: x\r\n", target: "/a b")),
        .refused("a tab", "3.2", 400, get("host: x\r\n", target: "/a\tb")),
        .refused("a byte beyond ASCII", "3.2", 400, get("host: x\r\n", target: "/é")),
        .refused("a star for GET", "3.2.4", 400, get("host: x\r\n", target: "*")),
        .refused("another scheme", "3.2.2", 400, get("host: x\r\n", target: "ftp://x/")),
        .refused("an absolute target with a user", "9110 4.2.4", 400, get("host: x\r\n", target: "http://u@x/")),
        .refused(
            "a target that is too long",
            "3",
            414,
            get("host: x\r\n", target: "/" + String(repeating: "a", count: 9000))
        ),
        .answered("dot segments, which name nothing", "9110 4.2.3", get("host: x\r\n", target: "/a/../%2e%2e/b")),
        .answered("two slashes", "3.2.1", get("host: x\r\n", target: "//x/y")),
        .answered("an encoded NUL", "9110 17.1: ours to refuse by name", get("host: x\r\n", target: "/a%00")),
        .answered("an escape that is not UTF-8", "3.2.1: likewise", get("host: x\r\n", target: "/a%FF")),
        .answered("a query of broken escapes", "3.2.1: ours to read", get("host: x\r\n", target: "/?%%2")),
    ]

    static let expectations: [RawRequest] = [
        .refused("an unknown expectation", "9110 10.1.1", 417, post("expect: 200-ok\r\ncontent-length: 1\r\n", "a")),
        .answered("an expectation without a body", "9110 10.1.1", get("host: x\r\nexpect: 100-continue\r\n")),
        .answered(
            "an expectation in capitals",
            "9110 10.1.1",
            post("expect: 100-Continue\r\ncontent-length: 1\r\n", "a")
        ),
        .answered(
            "an expectation in version 1.0",
            "9110 10.1.1: ignored",
            post("expect: 100-continue\r\ncontent-length: 1\r\n", "a", version: "1.0"),
            goesOn: false
        ),
        .answered("another upgrade", "9110 7.8: ignored", get("host: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n")),
        .answered(
            "another upgrade with a body",
            "9110 7.8",
            post("upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 5\r\n", "hello")
        ),
        .answered("an upgrade that names no connection", "9110 7.8", get("host: x\r\nupgrade: websocket\r\n")),
    ]
}
