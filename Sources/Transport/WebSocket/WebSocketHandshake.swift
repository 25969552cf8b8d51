internal import Base
internal import FoundationEssentials
internal import OpenSSL

/// The opening handshake (RFC 6455, section 4), both sides.
enum WebSocketHandshake {
    /// What it settled beyond the upgrade itself.
    struct Agreement: Equatable {
        var subprotocol: String?
        var deflate: DeflateAgreement?
    }

    static func acceptKey(for key: String) -> String {
        Data(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    }

    // MARK: The server's side

    /// The key of a valid handshake, nil for any other request.
    static func key(of request: HTTPRequest) -> String? {
        let headers = request.headers
        guard request.method == .get,
            headers.tokens("upgrade").contains("websocket"),
            headers.tokens("connection").contains("upgrade"),
            headers.values("sec-websocket-version") == ["13"],
            let key = headers["sec-websocket-key"], headers.values("sec-websocket-key").count == 1,
            Data(base64Encoded: key)?.count == 16
        else { return nil }
        return key
    }

    /// The 101 and what it agrees to; nil when the request's extensions are not of their grammar. `subprotocol` is
    /// granted only to a client that asked for it.
    static func accept(
        _ request: HTTPRequest,
        key: String,
        subprotocol: String?,
        headers: HTTPHeaders,
        compression: WebSocketCompression?
    ) -> (head: [UInt8], agreed: Agreement)? {
        guard let offers = WebSocketExtension.parse(request.headers.values("sec-websocket-extensions")) else {
            return nil
        }
        var agreed = Agreement()
        var headers = headers
        for name in [
            "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "sec-websocket-extensions",
        ] {
            headers.remove(name)
        }
        headers.add("upgrade", "websocket")
        headers.add("connection", "Upgrade")
        headers.add("sec-websocket-accept", acceptKey(for: key))
        if let subprotocol, subprotocols(request.headers).contains(subprotocol) {
            agreed.subprotocol = subprotocol
            headers.add("sec-websocket-protocol", subprotocol)
        }
        if let compression, let (deflate, answer) = DeflateAgreement.accept(offers, compression) {
            agreed.deflate = deflate
            headers.add("sec-websocket-extensions", answer)
        }
        var bytes = Array("HTTP/1.1 101 Switching Protocols\r\n".utf8)
        for field in headers.fields { ResponseHead.append(headers, field, to: &bytes) }
        bytes.append(contentsOf: "\r\n".utf8)
        return (bytes, agreed)
    }

    /// Those that a client asks for, in its order of preference.
    static func subprotocols(_ headers: HTTPHeaders) -> [String] {
        headers.values("sec-websocket-protocol").flatMap { $0.split(separator: ",") }.map {
            String($0.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        }
    }

    // MARK: The client's side

    static func newKey(_ randomness: any Randomness) -> String { Data(randomness.bytes(16)).base64EncodedString() }

    /// Adds what asks for a WebSocket.
    static func ask(_ headers: inout HTTPHeaders, key: String, compression: WebSocketCompression?) {
        headers.set("upgrade", "websocket")
        headers.set("connection", "Upgrade")
        headers.set("sec-websocket-version", "13")
        headers.set("sec-websocket-key", key)
        headers.remove("sec-websocket-extensions")
        if let compression { headers.add("sec-websocket-extensions", DeflateAgreement.offer(compression)) }
    }

    /// Throws unless the answer accepts the handshake that `asked` with `key`.
    static func check(
        status: Int,
        headers: HTTPHeaders,
        key: String,
        asked: HTTPHeaders,
        compression: WebSocketCompression?
    ) throws(BerthError) -> Agreement {
        guard status == 101 else {
            throw BerthError(
                status == 401 ? .unauthenticated : status == 403 ? .forbidden : .protocolViolation,
                "the server answered the WebSocket handshake with \(status)",
                isRetryable: status >= 500
            )
        }
        guard headers.tokens("upgrade") == ["websocket"], headers.tokens("connection").contains("upgrade"),
            headers.values("sec-websocket-accept") == [acceptKey(for: key)],
            let answers = WebSocketExtension.parse(headers.values("sec-websocket-extensions"))
        else { throw BerthError(.protocolViolation, "the server's WebSocket handshake is not valid") }
        let granted = headers.values("sec-websocket-protocol")
        guard granted.count <= 1, granted.allSatisfy(subprotocols(asked).contains) else {
            throw BerthError(.protocolViolation, "the server chose a WebSocket subprotocol that was not asked for")
        }
        return Agreement(
            subprotocol: granted.first,
            deflate: try DeflateAgreement.check(answers, offered: compression)
        )
    }
}
