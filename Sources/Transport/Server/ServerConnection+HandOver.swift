internal import Base
internal import EventLoop
internal import Synchronization

// A WebSocket that goes to somebody else, who may live on another loop.
extension ServerConnection {
    /// Gives the socket, whose handshake has been accepted, away on `target`.
    func handOver(
        _ settings: WebSocketConfiguration,
        from peer: HTTPPeer,
        to target: EventLoop,
        _ body: @escaping @Sendable (WebSocket) -> Void
    ) async throws {
        let early = Array(pending[pendingStart...])
        timer?.close()
        timer = nil
        parser = nil
        pending = []
        guard let detached = stream.detach() else { return ended() }
        do {
            let socket = try await target.run { [self] in
                let stream = try ByteStream(detached, on: target)
                let socket = WebSocket(stream: stream, role: .server, configuration: settings)
                watch(socket, of: peer)
                socket.begin(with: early[...], handOver: body)
                return socket
            }
            // It may have ended there already.
            guard case .exchange = phase else { return }
            phase = .upgraded(socket)
            server.webSockets.wrappingAdd(1, ordering: .relaxed)
            if place.isDraining { drain() }
        } catch {
            ended()
            throw error
        }
    }
    /// Hears of the end of `socket`, which may live on another loop, and of what cut it off.
    func watch(_ socket: WebSocket, of peer: HTTPPeer) {
        let home = loop
        socket.onEnd = { home.execute { self.ended() } }
        socket.onFault = { [server, loop = socket.loop] fault, detail in
            server.faults.report(fault, peer: peer, detail: detail, at: loop.now)
        }
    }
}
