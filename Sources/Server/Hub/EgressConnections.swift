import Base
import Domain
import EventLoop
import Relay
import Synchronization
import Transport
import WorkerProtocol

/// Connections out of one worker's environment to what its allow-list names.
final class EgressConnections: Sendable {
    private struct Open: Sendable {
        var name: String
        var port: Int
        var channel: OpenChannel
    }

    private let channels: LinkChannels
    private let reach: EgressReach
    private let log: Log
    private let open = Mutex<[Open]>([])
    private static let connectTime = Duration.seconds(10)

    init(channels: LinkChannels, reach: EgressReach, log: Log) {
        self.channels = channels
        self.reach = reach
        self.log = log
    }

    /// The name was found on the list. Answers the worker over `socket`; returns at once.
    func dial(_ dial: WorkerMessage.Dial, over socket: WebSocket) {
        channels.loop.spawn { [self] in
            do {
                try await connect(dial)
            } catch {
                let reason = BerthError(wrapping: error).message
                log.debug("no way out", ["name": dial.name, "port": dial.port, "reason": reason])
                let message = ServerMessage.undialled(.init(dial: dial.dial, reason: String(reason.prefix(200))))
                guard let text = try? MessageCodec.encode(message) else { return }
                channels.loop.execute { socket.put(text: String(decoding: text, as: UTF8.self)) }
            }
        }
    }

    private func connect(_ dial: WorkerMessage.Dial) async throws {
        let loop = channels.loop
        let deadline = loop.time.uptime + Self.connectTime
        let addresses = try await loop.lookUp(host: dial.name, port: dial.port, until: deadline)
        // Checked after the name was resolved, and the connection goes to what was checked.
        let allowed = addresses.filter { reach.allows($0) }
        guard !allowed.isEmpty else {
            throw BerthError(.forbidden, "\(dial.name) has no address in the public internet")
        }
        let remote = try await Socket.connect(toFirstOf: allowed, loop: loop, until: deadline)
        do {
            let channel = try await channels.connect(to: .dial(dial.dial), until: deadline)
            try await loop.run { [self] in
                remote.setNoDelay()
                channel.serve(remote)
                open.withLock { open in
                    open.removeAll { $0.channel.isOver }
                    open.append(Open(name: dial.name, port: dial.port, channel: channel))
                }
            }
        } catch {
            loop.execute { remote.reset() }
            throw error
        }
    }

    /// Cuts what the policy no longer names.
    func keep(to policy: NetworkPolicy) {
        channels.loop.execute { [self] in
            let cut = open.withLock { open in
                open.removeAll { $0.channel.isOver }
                let gone = open.filter { !policy.permits($0.name, port: $0.port) }
                open.removeAll { !policy.permits($0.name, port: $0.port) }
                return gone
            }
            for connection in cut { connection.channel.cut("the environment may no longer reach \(connection.name)") }
        }
    }
}
