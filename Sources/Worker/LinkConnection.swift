internal import Base
internal import Domain
internal import EventLoop
internal import Relay
internal import Transport
internal import WorkerProtocol

/// One connection to a server: sends messages and frames, and keeps the credit of its channels. Lives on the loop.
actor LinkConnection {
    nonisolated let loop: EventLoop
    private let socket: WebSocket
    /// Connections that the server asks for.
    nonisolated let tunnels: LinkChannels
    private static let maximumTunnels = 4096
    /// The server knows the documented messages only (seed 004, section 1.2): output goes as text, nothing is resumed.
    private(set) var isDocumented = false
    private var nextChannel: UInt32 = 1
    private var channels: [UInt32: Channel] = [:]

    /// What the server has said of one channel.
    final class Channel: Sendable {
        let number: UInt32
        let credit: Credit

        init(number: UInt32, credit: Credit) {
            self.number = number
            self.credit = credit
        }
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(_ socket: WebSocket, services: any ChannelServices) {
        self.socket = socket
        loop = socket.loop
        tunnels = LinkChannels(socket, maximum: Self.maximumTunnels, services: services)
    }

    /// Before the first message.
    func begin() { tunnels.begin() }

    func met(_ ack: ServerMessage.Ack) { isDocumented = ack.protocol == nil }

    /// Whatever was sent before this moment has reached the server.
    var lastConfirmed: Uptime? { socket.lastConfirmed }

    func send(_ message: WorkerMessage) async throws {
        try await socket.send(text: String(decoding: try MessageCodec.encode(message), as: UTF8.self))
    }

    func send(_ frame: ChannelFrame) async throws { try await socket.send(binary: frame.encoded()) }

    /// The next message of the server; credit is taken in on the way. nil when the server has closed in order.
    func receive() async throws -> ServerMessage? {
        while let message = try await socket.receive() {
            switch message {
            case .text(let text):
                if let known = try MessageCodec.decode(ServerMessage.self, from: Array(text.utf8)) { return known }
            case .binary(let bytes):
                guard case .credit(let number, let limit, let durable) = try ChannelFrame(decoding: bytes) else {
                    throw BerthError(.protocolViolation, "a server sends no frames but credit")
                }
                channels[number]?.credit.update(limit: limit, durable: durable)
            }
        }
        return nil
    }

    func open(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64) async throws -> Channel {
        let number = nextChannel
        nextChannel += 1
        let channel = Channel(
            number: number,
            credit: Credit(limit: offset + ChannelFrame.initialCredit, durable: offset, loop: loop)
        )
        channels[number] = channel
        try await send(
            .open(
                .init(
                    channel: number,
                    executionId: key.executionID,
                    attempt: key.attempt,
                    stream: stream,
                    offset: offset
                )
            )
        )
        return channel
    }

    func forget(_ channel: Channel) { channels[channel.number] = nil }

    nonisolated func close(_ code: WebSocketCloseCode, reason: String) { socket.close(code: code, reason: reason) }
}
