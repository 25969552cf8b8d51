import API
import Base

/// A request that decisions built for one of the routes: mostly as the route declares it, wrong in places.
struct AskedRequest: Sendable, CustomStringConvertible {
    var method: String
    var path: String
    var query = ""
    var headers: [(String, String)] = []
    var body: [UInt8] = []

    var description: String {
        "\(method) \(path)?\(query) \(headers) \(String(decoding: body.prefix(4000), as: UTF8.self))"
    }

    init(method: String, path: String, body: [UInt8] = [], key: String) {
        self.method = method
        self.path = path
        self.body = body
        headers = [("authorization", "Bearer \(key)")]
    }

    /// - Parameter ids: of things that are there, by the name of the path's parameter.
    init(_ route: Route, _ source: inout Source, ids: [String: String], key: String) {
        method = route.method.rawValue
        if source.byte() > 0xF0 { method = source.pick(["HEAD", "OPTIONS", "GET", "POST", "PUT", "DELETE", "PATCH"]) }
        path = ""
        for segment in route.segments {
            path += "/"
            switch segment {
            case .literal(let text): path += text
            case .parameter(let name): path += Self.parameter(ids[name] ?? ids["executionId"] ?? "", &source)
            }
        }
        if path.isEmpty { path = "/" }
        query = Self.query(route.query, &source)
        headers = Self.headers(&source, key: key)
        guard let schema = route.body else {
            body = route.takesBytes || source.byte() > 0xF0 ? source.bytes(atMost: 200) : []
            return
        }
        headers.append(("content-type", source.byte() > 0xF8 ? "text/plain" : "application/json"))
        var writer = SchemaText(source)
        writer.write(schema)
        body = writer.text
    }

    private static func parameter(_ id: String, _ source: inout Source) -> String {
        let choice = source.byte()
        return choice < 0x80 ? id : encoded(choice < 0xC0 ? source.pick(SchemaText.words) : text(&source))
    }

    private static func query(_ parameters: [Route.Parameter], _ source: inout Source) -> String {
        var parts: [String] = []
        for parameter in parameters where source.byte() & 1 == 1 {
            let value: String
            let choice = source.byte()
            switch parameter.schema {
            case .integer where choice < 0xE0:
                // A request that waits is worth as much when it waits shortly.
                value = parameter.name.hasSuffix("Ms") ? "\(choice & 3)" : source.pick(SchemaText.numbers)
            case .boolean where choice < 0xE0: value = source.pick(["true", "false", "1", "0", ""])
            case .string(_, let values, _) where choice < 0xC0 && !values.isEmpty: value = source.pick(values)
            case .string where choice < 0xC0:
                value = source.pick(["stdout", "stderr,agent", "0.0", "1.5.9", ":", "stdout:5", "9223372036854775807"])
            default: value = text(&source)
            }
            parts.append("\(parameter.name)=\(encoded(value))")
        }
        if source.byte() > 0xF8 { parts.append(String(decoding: source.bytes(atMost: 30), as: UTF8.self)) }
        return parts.joined(separator: "&")
    }

    private static func headers(_ source: inout Source, key: String) -> [(String, String)] {
        var headers: [(String, String)] = []
        let choice = source.byte()
        if choice < 0xF0 { headers.append(("authorization", "Bearer \(key)")) }
        if choice > 0xF8 { headers.append(("authorization", text(&source))) }
        for name in names where source.byte() > 0xD0 {
            headers.append((name, source.byte() & 1 == 0 ? source.pick(values) : text(&source)))
        }
        return headers
    }

    private static let names = [
        "idempotency-key", "last-event-id", "range", "if-range", "if-none-match", "if-match", "if-modified-since",
        "accept-encoding", "accept", "cookie", "forwarded", "x-forwarded-for", "x-forwarded-proto", "origin",
        "content-length",
    ]

    private static let values = [
        "*", "\"a\"", "W/\"a\", \"b\"", "bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=0-1,3-",
        "bytes=9223372036854775807-",
        "gzip;q=0.5, identity;q=0", "gzip;q=1.001", "*;q=0", "text/event-stream", "0", "1-1-1", "-1",
        "9223372036854775808", "for=\"[::1]:80\";proto=https", "1.2.3.4, ::1", "Sun, 06 Nov 1994 08:49:37 GMT",
    ]

    private static func text(_ source: inout Source) -> String {
        String(decoding: source.bytes(atMost: 40), as: UTF8.self)
    }

    /// What a request target may carry as it is, and the rest escaped.
    private static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain = byte > 0x20 && byte < 0x7F && !"#?&%/".utf8.contains(byte)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte])
        }
        return result
    }
}
