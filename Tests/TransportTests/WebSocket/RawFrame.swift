import Base
import EventLoop
import Testing

@testable import Transport

/// Frames as bytes, right or wrong.
enum RawFrame {
    /// - Parameters:
    ///   - first: FIN, reserved bits and opcode.
    ///   - mask: nil for a server's frame.
    static func make(_ first: UInt8, _ payload: [UInt8] = [], mask: UInt32? = 0x3D21_FA37) -> [UInt8] {
        var header: [UInt8] = []
        WebSocketEncoder.appendHeader(.text, length: payload.count, mask: mask, to: &header)
        header[0] = first
        var masked = payload
        if let mask { masked.withUnsafeMutableBytes { WebSocketMask.apply(mask, offset: 0, to: $0) } }
        return header + masked
    }

    static func text(_ text: String) -> [UInt8] { make(0x81, Array(text.utf8)) }

    static func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        make(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    /// One message compressed on its own (RFC 7692, section 7.2.1), without its tail.
    static func deflated(_ bytes: [UInt8], windowBits: Int = 15) throws -> [UInt8] {
        var packed: [UInt8] = []
        try Deflater(.raw, windowBits: windowBits).deflate(bytes, flush: .sync, into: &packed)
        return packed.dropLast(4)
    }

    static let handshake = handshake()

    static func handshake(_ fields: String...) -> String {
        "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n"
            + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
            + fields.map { "\($0)\r\n" }.joined() + "\r\n"
    }

    /// What stands behind the head of a handshake: the complete frames, none longer than 65535 bytes.
    static func frames(_ bytes: [UInt8]) -> [(first: UInt8, payload: [UInt8])] {
        guard let end = bytes.ranges(of: Array("\r\n\r\n".utf8)).first?.upperBound else { return [] }
        var position = end
        var frames: [(UInt8, [UInt8])] = []
        while position + 2 <= bytes.count {
            let first = bytes[position]
            let isMasked = bytes[position + 1] & 0x80 != 0
            var length = Int(bytes[position + 1] & 0x7F)
            position += 2
            if length == 126 {
                guard position + 2 <= bytes.count else { break }
                length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
                position += 2
            }
            let start = position + (isMasked ? 4 : 0)
            guard start + length <= bytes.count else { break }
            var payload = Array(bytes[start..<start + length])
            if isMasked { for index in payload.indices { payload[index] ^= bytes[position + index % 4] } }
            frames.append((first, payload))
            position = start + length
        }
        return frames
    }

    static func code(_ payload: [UInt8]) -> UInt16? {
        payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
    }
}

/// The sockets that a handler had, for a test that wants to know how they ended.
final class Ends: Sendable {
    private let stream: AsyncStream<WebSocket>
    private let continuation: AsyncStream<WebSocket>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func add(_ socket: WebSocket) { continuation.yield(socket) }

    /// How the next of them ended.
    func next() async throws -> WebSocket.End {
        var iterator = stream.makeAsyncIterator()
        let socket = try #require(await iterator.next())
        return try await withDeadline(.seconds(20), time: SystemTime(), what: "the end of a WebSocket") {
            try await socket.ended()
        }
    }
}

/// A client's WebSocket and, behind the handshake, the raw peer that plays its server.
/// - Parameters:
///   - fields: of the answer, in place of the right ones.
///   - frames: sent together with the answer.
func withRawServer(
    configuration: WebSocketConfiguration = WebSocketConfiguration(),
    status: String = "HTTP/1.1 101 Switching Protocols",
    answer fields: [String: String] = [:],
    behind frames: [UInt8] = [],
    _ body: (WebSocket, RawPeer) async throws -> Void
) async throws {
    try await withLoop { loop in
        let (address, peers) = try await RawPeer.listen(on: loop)
        async let client = HTTPClient(loop: loop).webSocket(address.url(), configuration: configuration)
        var iterator = peers.makeAsyncIterator()
        let peer = try #require(await iterator.next())
        let head = try await peer.receive(until: "\r\n\r\n")
        let key = try #require(head.firstMatch(of: /sec-websocket-key: ([^\r]+)/)?.1)
        let right = [
            "upgrade": "websocket", "connection": "Upgrade",
            "sec-websocket-accept": WebSocketHandshake.acceptKey(for: String(key)),
        ]
        let lines = right.merging(fields) { $1 }.map { "\($0): \($1)\r\n" }.sorted().joined()
        try await peer.send(Array("\(status)\r\n\(lines)\r\n".utf8) + frames)
        try await body(client, peer)
        try await peer.close()
    }
}

extension RawPeer {
    /// At least `count` frames behind the handshake, or what there is at the end.
    func receive(frames count: Int) async throws -> [(first: UInt8, payload: [UInt8])] {
        RawFrame.frames(try await receiveBytes { RawFrame.frames($0).count >= count })
    }
}
