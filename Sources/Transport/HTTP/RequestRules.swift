internal import Base
internal import CLLHTTP

/// A request that is not handed to anyone, and the status that says so.
struct RequestRefusal: Equatable {
    var status: Int
    /// For the log.
    var reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}

/// What RFC 9112 demands of a request beyond its syntax.
enum RequestRules {
    /// nil: accepted.
    static func refusal(_ head: HTTPHead, headers: HTTPHeaders, maximumBodyBytes: Int) -> RequestRefusal? {
        guard head.majorVersion == 1, head.minorVersion <= 1 else { return RequestRefusal(505, "unknown version") }
        if let refusal = refusal(ofHostIn: headers, minorVersion: head.minorVersion) { return refusal }
        if headers.contains("transfer-encoding") {
            // A version 1.0 peer may not have framed it (section 6.1); other codings than chunked are unknown here.
            guard head.minorVersion == 1 else { return RequestRefusal(400, "transfer-encoding in version 1.0") }
            let codings = headers.tokens("transfer-encoding")
            // Only a last coding that is chunked, and once, says where the body ends (section 6.3).
            guard codings.last == "chunked", !codings.dropLast().contains("chunked") else {
                return RequestRefusal(400, "a body without an end")
            }
            guard codings.count == 1 else { return RequestRefusal(501, "unknown transfer coding") }
            // Empty members of the list: who forgives them (RFC 9110, section 5.6.1) and who does not would see two
            // different messages.
            guard headers["transfer-encoding"]?.lowercased() == "chunked" else {
                return RequestRefusal(400, "an empty transfer coding")
            }
            guard head.contentLength == nil, !headers.contains("content-length") else {
                return RequestRefusal(400, "content-length and transfer-encoding")
            }
        }
        if let length = head.contentLength, length > UInt64(maximumBodyBytes) {
            return RequestRefusal(413, "body too large")
        }
        if headers.contains("expect"), !headers.tokens("expect").allSatisfy({ $0 == "100-continue" }) {
            return RequestRefusal(417, "unknown expectation")
        }
        return method(head.method) == nil ? RequestRefusal(501, "unknown method") : nil
    }

    private static func refusal(ofHostIn headers: HTTPHeaders, minorVersion: Int) -> RequestRefusal? {
        var hosts = 0
        for field in headers.fields where headers.matches(field, "host") {
            hosts += 1
            guard hosts == 1 else { return RequestRefusal(400, "several hosts") }
            let value = headers.bytes[Int(field.valueStart)..<Int(field.valueStart + field.valueLength)]
            guard isHost(value) else { return RequestRefusal(400, "a host that is none") }
        }
        return hosts == 0 && minorVersion != 0 ? RequestRefusal(400, "no host") : nil
    }

    /// The methods that Berth knows; others are refused before a handler sees them.
    static func method(_ method: llhttp_method) -> HTTPMethod? {
        switch method {
        case HTTP_GET: .get
        case HTTP_HEAD: .head
        case HTTP_POST: .post
        case HTTP_PUT: .put
        case HTTP_PATCH: .patch
        case HTTP_DELETE: .delete
        case HTTP_OPTIONS: .options
        default: nil
        }
    }

    /// The authority of a target in absolute form, which counts instead of the `host` field (RFC 9112, section 3.2.2).
    static func authority(_ target: String) -> String? {
        guard !target.hasPrefix("/"), let slashes = target.firstIndex(of: "/") else { return nil }
        return String(target[slashes...].dropFirst(2).prefix { $0 != "/" && $0 != "?" })
    }

    /// Path and query of a request target in origin form, absolute form or `*`; nil if it is none of them. What their
    /// escapes stand for, if anything, is for the handler to judge, which can say what is wrong with it.
    static func target(_ text: String, method: HTTPMethod) -> (path: String, query: String)? {
        // By bytes, and what most requests are without a copy: this is done for every one.
        var text = text
        let kind = text.withUTF8 { bytes in
            var (hasBad, hasMark) = (false, bytes.first != UInt8(ascii: "/"))
            for byte in bytes {
                hasBad = hasBad || byte <= 0x20 || byte >= 0x7F || byte == UInt8(ascii: "#")
                hasMark = hasMark || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "%")
            }
            return (isBad: hasBad, isPlain: !hasMark)
        }
        if kind.isBad { return nil }
        if kind.isPlain { return (text, "") }
        if text == "*" { return method == .options ? ("*", "") : nil }
        var rest = Substring(text)
        if rest.utf8.first != UInt8(ascii: "/") {
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                return nil
            }
            rest = rest.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            guard !authority.isEmpty, isHost(String(authority)) else { return nil }
            rest = rest.dropFirst(authority.count)
        }
        let end = rest.utf8.firstIndex(of: UInt8(ascii: "?"))
        let path = rest[..<(end ?? rest.endIndex)]
        guard hasWholeEscapes(path) else { return nil }
        return (path.isEmpty ? "/" : String(path), end.map { String(rest[rest.utf8.index(after: $0)...]) } ?? "")
    }

    /// `%` and two hexadecimal digits, as the grammar of a path has it (RFC 3986, section 3.3).
    private static func hasWholeEscapes(_ path: Substring) -> Bool {
        var rest = Array(path.utf8)[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "%")) {
            let digits = rest[(start + 1)...].prefix(2)
            guard digits.count == 2, digits.allSatisfy(isHexDigit) else { return false }
            rest = rest[(start + 3)...]
        }
        return true
    }

    /// `uri-host [":" port]` of RFC 3986: a name, an IPv4 address or a bracketed IPv6 address. May be empty.
    static func isHost(_ text: String) -> Bool { isHost(Array(text.utf8)[...]) }

    private static func isHost(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        if rest.first == UInt8(ascii: "[") {
            guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let inside = rest[(rest.startIndex + 1)..<end]
            guard !inside.isEmpty, inside.allSatisfy({ isHexDigit($0) || $0 == 0x3A || $0 == 0x2E }) else {
                return false
            }
            rest = rest[(end + 1)...]
        } else {
            rest = rest.drop(while: isNameByte)
        }
        guard let colon = rest.popFirst() else { return true }
        return colon == UInt8(ascii: ":") && rest.count <= 5 && rest.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }

    /// Unreserved, sub-delims and `%` of RFC 3986.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"),
            UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "("),
            UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: ";"),
            UInt8(ascii: "="):
            true
        default: false
        }
    }
}
