internal import Base
internal import EventLoop

extension HTTPResponse {
    /// The answer that this client gets: for GET and HEAD, conditions on validators (`etag`, `last-modified`), a part of a
    /// file, and gzip are dealt with here. Asking twice changes nothing, so a handler may do it to log the status.
    public func prepared(for request: HTTPRequest) -> HTTPResponse {
        guard status == 200, !isPrepared, request.method == .get || request.method == .head else { return self }
        var response = self
        response.isPrepared = true
        var length: Int64?
        if case .file(let file, _) = body {
            length = file.length
            if !headers.contains("etag") { response.headers.add("etag", file.entityTag) }
            response.headers.add("last-modified", HTTPDate.text(secondsSinceEpoch: file.modifiedAt))
            response.headers.add("accept-ranges", "bytes")
        }
        if request.compresses { response.encode(for: request) }
        guard request.headers.haveConditions else { return response }
        let representation = Selection.Representation(
            entityTag: response.headers["etag"],
            lastModified: response.headers["last-modified"],
            length: response.isGzipped ? nil : length,
            now: request.loop.time.now.milliseconds / 1000
        )
        response.select(Selection(request.headers, isGet: request.method == .get, representation), length: length ?? 0)
        return response
    }

    private mutating func encode(for request: HTTPRequest) {
        switch body {
        case .bytes(let bytes) where bytes.count >= ContentCoding.minimumBytes: break
        case .file(let file, _) where file.length >= ContentCoding.minimumBytes: break
        case .stream(let length, _) where length.map({ $0 >= ContentCoding.minimumBytes }) ?? true: break
        default: return
        }
        guard let type = headers["content-type"], ContentCoding.isCompressible(type),
            !headers.contains("content-encoding"), !headers.tokens("cache-control").contains("no-transform")
        else { return }
        headers.add("vary", "accept-encoding")
        // A part is one of the plain bytes, so who asks for one gets those.
        guard ContentCoding.acceptsGzip(request.headers.values("accept-encoding")),
            !request.headers.contains("range")
        else { return }
        isGzipped = true
        headers.add("content-encoding", "gzip")
        // The same content in other bytes (section 8.8.1).
        if let tag = headers["etag"], !tag.hasPrefix("W/") { headers.set("etag", "W/" + tag) }
    }

    private mutating func select(_ selection: Selection, length: Int64) {
        switch selection {
        case .whole: return
        case .part(let range):
            status = 206
            headers.add("content-range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)")
            if case .file(let file, _) = body { body = .file(file, range) }
        case .notModified: becomeEmpty(304)
        case .preconditionFailed: becomeEmpty(412)
        case .unsatisfiable:
            becomeEmpty(416)
            headers.add("content-range", "bytes */\(length)")
        }
    }

    /// Validators and `vary` stay: a cache learns from them which of its answers is meant.
    private mutating func becomeEmpty(_ status: Int) {
        self.status = status
        isGzipped = false
        body = .bytes([])
        for name in ["content-type", "content-encoding", "content-disposition"] { headers.remove(name) }
    }

    /// Another client than this one may not take gzip after all, or there is no memory for it.
    mutating func decline() {
        isGzipped = false
        headers.remove("content-encoding")
    }
}

extension HTTPHeaders {
    /// A field of RFC 9110, section 13.1, or `range`.
    var haveConditions: Bool {
        fields.contains { field in
            guard field.nameLength >= 5 else { return false }
            let first = bytes[Int(field.nameStart)] | 0x20
            if first == UInt8(ascii: "i") { return bytes[Int(field.nameStart) + 2] == UInt8(ascii: "-") }
            return first == UInt8(ascii: "r") && field.nameLength == 5 && matches(field, "range")
        }
    }
}
