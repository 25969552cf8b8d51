internal import Base
internal import EventLoop

// A WebSocket that goes to somebody else, who may live on another loop.
extension ServerConnection {
    /// Gives the socket, whose handshake has been accepted, away on `target`.
    func handOver(
        _ settings: WebSocketConfiguration,
        to target: EventLoop,
        _ body: @escaping @Sendable (WebSocket) -> Void
    ) async throws {
        let early = Array(pending[pendingStart...])
        timer?.close()
        timer = nil
        parser = nil
        pending = []
        guard let detached = stream.detach() else { return ended() }
        let home = loop
        do {
            let socket = try await target.run { [self] in
                let stream = try ByteStream(detached, on: target)
                let socket = WebSocket(stream: stream, role: .server, configuration: settings)
                socket.onEnd = { home.execute { self.ended() } }
                socket.begin(with: early[...], handOver: body)
                return socket
            }
            // It may have ended there already.
            guard case .exchange = phase else { return }
            phase = .upgraded(socket)
            if place.isDraining { drain() }
        } catch {
            ended()
            throw error
        }
    }
}
