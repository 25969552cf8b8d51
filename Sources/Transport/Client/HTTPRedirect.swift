internal import Base

/// What a redirect makes of a request (RFC 9110, section 15.4). Pure.
enum HTTPRedirect {
    /// nil for a response that is to be handed out as it is: no redirect, one without a usable place, or one that would
    /// need a streamed body again.
    static func request(
        after response: HTTPClientResponse,
        to request: HTTPClientRequest
    ) throws(BerthError) -> HTTPClientRequest? {
        guard [301, 302, 303, 307, 308].contains(response.status), let place = response.headers["location"] else {
            return nil
        }
        guard let url = request.url.resolving(place) else {
            throw BerthError(
                .protocolViolation,
                "\(request.url.endpoint) redirects to '\(place.prefix(200))', which is not an address"
            )
        }
        if request.url.endpoint.isSecure, !url.endpoint.isSecure {
            throw BerthError(
                .protocolViolation,
                "\(request.url.endpoint) redirects to \(url.endpoint), which is not encrypted",
                remedy: "name the server's final https address"
            )
        }
        if case .unix = url.endpoint.place, url.endpoint != request.url.endpoint {
            throw BerthError(.protocolViolation, "\(request.url.endpoint) redirects to a socket of this machine")
        }
        var next = request
        next.url = url
        if becomesGet(response.status, request.method) {
            next.method = .get
            next.body = .none
            for name in ["content-type", "content-encoding", "content-language", "content-location", "expect"] {
                next.headers.remove(name)
            }
        } else if !request.body.isRepeatable {
            return nil
        }
        if url.endpoint != request.url.endpoint {
            for name in ["authorization", "cookie", "proxy-authorization", "host"] { next.headers.remove(name) }
        }
        return next
    }

    /// 303 asks for it; 301 and 302 do by long custom, for POST only.
    private static func becomesGet(_ status: Int, _ method: HTTPMethod) -> Bool {
        switch status {
        case 303: method != .head && method != .get
        case 301, 302: method == .post
        default: false
        }
    }
}

extension HTTPURL {
    /// A reference as seen from here (RFC 3986, section 5.2), without its fragment; nil if it is no HTTP address.
    func resolving(_ reference: String) -> HTTPURL? {
        let text = reference.prefix { $0 != "#" }
        if text.isEmpty { return self }
        if let scheme = Self.scheme(text) {
            guard scheme == "http" || scheme == "https" else { return nil }
            return try? HTTPURL(String(text))
        }
        if text.hasPrefix("//") {
            return try? HTTPURL((endpoint.isSecure ? "https:" : "http:") + text)
        }
        var url = self
        let path = target.prefix { $0 != "?" }
        if text.hasPrefix("/") {
            url.target = Self.withoutDots(String(text))
        } else if text.hasPrefix("?") {
            url.target = path + String(text)
        } else {
            url.target = Self.withoutDots(path[...(path.lastIndex(of: "/") ?? path.startIndex)] + String(text))
        }
        return url.target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? url : nil
    }

    /// In lower case; nil where the text does not begin with one (RFC 3986, section 3.1).
    private static func scheme(_ text: Substring) -> String? {
        let scheme = text.prefix { $0 != ":" && $0 != "/" && $0 != "?" }
        guard scheme.endIndex < text.endIndex, text[scheme.endIndex] == ":", scheme.first?.isLetter == true else {
            return nil
        }
        return scheme.lowercased()
    }

    /// RFC 3986, section 5.2.4.
    private static func withoutDots(_ target: String) -> String {
        let path = target.prefix { $0 != "?" }
        var kept: [Substring] = []
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/") + target.dropFirst(path.count)
    }
}
