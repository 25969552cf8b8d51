public import Base
public import EventLoop
public import Transport

/// The viewer's side of a tunnel: a local socket and the WebSocket that leads to the environment, both on one loop.
///
/// `@unchecked Sendable`: touched only on that loop.
public final class SocketTunnel: @unchecked Sendable {
    private let socket: Socket
    private let webSocket: WebSocket
    private var hasSocketClosed = false

    private init(_ socket: Socket, _ webSocket: WebSocket) {
        self.socket = socket
        self.webSocket = webSocket
    }

    /// Passes bytes both ways until both directions have ended or one side breaks; returns how the WebSocket ended.
    public static func run(_ socket: Socket, _ webSocket: WebSocket) async throws -> WebSocket.End {
        try await webSocket.loop.run {
            let tunnel = SocketTunnel(socket, webSocket)
            socket.delegate = tunnel
            webSocket.deliver(to: tunnel)
            socket.resumeReading()
        }
        return try await webSocket.ended()
    }

    /// The local connection broke; the other end of the tunnel learns it by a reset.
    private static let broken = WebSocketCloseCode(rawValue: 4001)
}

extension SocketTunnel: SocketDelegate {
    public func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        webSocket.put(binary: bytes)
        if webSocket.isCongested { socket.pauseReading() }
    }

    public func socketInputEnded() { webSocket.put(binary: UnsafeRawBufferPointer(start: nil, count: 0)) }

    public func socketProgressed() { if socket.unsentBytes <= Socket.highWater / 2 { webSocket.unhold() } }

    public func socketClosed(_ error: BerthError?) {
        hasSocketClosed = true
        webSocket.close(code: error == nil ? .normal : Self.broken)
    }
}

extension SocketTunnel: WebSocketSink {
    public func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool {
        if bytes.isEmpty {
            socket.endOutput()
        } else {
            socket.write(bytes)
            if socket.unsentBytes > Socket.highWater { webSocket.hold() }
        }
        return true
    }

    public func webSocketReceived(text: String) -> Bool { true }

    public func webSocketProgressed() { if !webSocket.isCongested { socket.resumeReading() } }

    public func webSocketEnded(_ end: WebSocket.End) {
        guard !hasSocketClosed else { return }
        hasSocketClosed = true
        if case .closed(.normal?, _) = end { socket.closeAfterFlush() } else { socket.reset() }
    }
}
