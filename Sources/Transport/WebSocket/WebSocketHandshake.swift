internal import Base
internal import FoundationEssentials
internal import OpenSSL

/// The opening handshake (RFC 6455, section 4), both sides.
enum WebSocketHandshake {
    /// The key of a valid handshake, nil for any other request.
    static func key(of request: HTTPRequest) -> String? {
        let headers = request.headers
        guard request.method == .get,
            headers.tokens("upgrade").contains("websocket"),
            headers.tokens("connection").contains("upgrade"),
            headers["sec-websocket-version"] == "13",
            let key = headers["sec-websocket-key"],
            Data(base64Encoded: key)?.count == 16
        else { return nil }
        return key
    }

    static func acceptKey(for key: String) -> String {
        Data(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    }

    static func acceptance(key: String, subprotocol: String?, headers: HTTPHeaders) -> [UInt8] {
        var headers = headers
        for name in ["content-length", "content-type", "transfer-encoding", "connection", "upgrade"] {
            headers.remove(name)
        }
        headers.add("upgrade", "websocket")
        headers.add("connection", "Upgrade")
        headers.add("sec-websocket-accept", acceptKey(for: key))
        if let subprotocol { headers.add("sec-websocket-protocol", subprotocol) }
        var bytes = Array("HTTP/1.1 101 Switching Protocols\r\n".utf8)
        for field in headers.fields { ResponseHead.append(headers, field, to: &bytes) }
        bytes.append(contentsOf: "\r\n".utf8)
        return bytes
    }

    static func newKey(_ randomness: any Randomness) -> String { Data(randomness.bytes(16)).base64EncodedString() }

    /// Throws unless `head` accepts the handshake that sent `key`.
    static func check(status: Int, headers: HTTPHeaders, key: String) throws(BerthError) {
        guard status == 101 else {
            throw BerthError(
                status == 401 ? .unauthenticated : status == 403 ? .forbidden : .protocolViolation,
                "the server answered the WebSocket handshake with \(status)",
                isRetryable: status >= 500
            )
        }
        guard headers.tokens("upgrade") == ["websocket"], headers["sec-websocket-accept"] == acceptKey(for: key) else {
            throw BerthError(.protocolViolation, "the server's WebSocket handshake is not valid")
        }
    }
}
