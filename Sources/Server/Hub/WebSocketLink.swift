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
