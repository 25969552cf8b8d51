import Base
import WorkerProtocol
import Workers

/// The server's socket of a connection: bytes are decoded again on the way, as a worker's would be.
///
/// Unchecked: used on the simulation's one thread only.
final class SimTransport: LinkTransport, @unchecked Sendable {
    private unowned let world: World
    private let connection: Connection
    private let process: SimProcess

    init(_ world: World, _ connection: Connection, _ process: SimProcess) {
        self.world = world
        self.connection = connection
        self.process = process
    }

    func send(text: [UInt8]) async throws {
        try await begin()
        if let message = try MessageCodec.decode(ServerMessage.self, from: text) {
            connection.sendDown(.message(message), world)
        }
    }

    func send(binary: [UInt8]) async throws {
        try await begin()
        connection.sendDown(.frame(try ChannelFrame(decoding: binary)), world)
    }

    private func begin() async throws {
        // No interruption: what is written to a socket leaves in the order in which it was written.
        try process.requireAlive()
        try process.point()
        guard !connection.serverHasLeft else { throw BerthError(.network, "the connection is closed") }
    }

    func answered(channel: UInt32, refusal: String?) async {}

    func lastHeard() async -> Uptime? {
        Uptime(nanoseconds: UInt64(max(0, connection.heardAt)) * 1_000_000)
    }

    func close(code: UInt16, reason: String) async {
        guard process.isAlive else { return }
        world.trace("server closes connection \(connection.number): \(reason)")
        world.serverCloses(connection, code: code)
    }
}
