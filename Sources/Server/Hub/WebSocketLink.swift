import Base
import Domain
import EventLoop
import Relay
import Transport
import WorkerProtocol
import Workers

/// A worker's socket, and the TCP channels on it.
struct WebSocketLink: LinkTransport {
    let socket: WebSocket
    let channels: LinkChannels
    let egress: EgressConnections

    func send(text: [UInt8]) async throws { try await socket.send(text: String(decoding: text, as: UTF8.self)) }
    func send(binary: [UInt8]) async throws { try await socket.send(binary: binary) }
    func answered(channel: UInt32, refusal: String?) async { channels.answered(channel, refusal: refusal) }
    func dial(_ dial: WorkerMessage.Dial) async { egress.dial(dial, over: socket) }
    func keep(to policy: NetworkPolicy) async { egress.keep(to: policy) }
    func lastHeard() async -> Uptime? { try? await socket.loop.run { socket.lastReceived } }
    func close(code: UInt16, reason: String) async {
        socket.close(code: WebSocketCloseCode(rawValue: code), reason: reason)
    }
}

/// A worker's messages on their way to its ``WorkerLink``.
struct WorkerReceiver: LinkReceiver {
    let link: WorkerLink
    let metrics: Metrics
    let log: Log

    func receive(_ messages: [WebSocketMessage]) async {
        await link.receive(
            messages.map { message in
                switch message {
                case .text(let text): .text(Array(text.utf8))
                case .binary(let bytes): .binary(bytes)
                }
            }
        )
    }

    var due: Uptime? { get async { await link.due } }

    func keepUp() async { await link.keepUp() }

    func ended(_ end: WebSocket.End) async {
        if case .failed(let error) = end { log.debug("worker connection ended", ["error": "\(error)"]) }
        await link.disconnected()
        metrics.add(.workersConnected, -1)
    }
}
