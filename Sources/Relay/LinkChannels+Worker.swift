internal import Base
internal import EventLoop
public import WorkerProtocol

extension LinkChannels {
    /// How long a worker tries to connect.
    private static let connectTime = Duration.seconds(10)

    /// The worker's side of `connect`: opens the connection, answers, and passes bytes on from then on. Returns when it
    /// has answered.
    public func take(_ connect: ServerMessage.Connect) async {
        let number = connect.channel
        do {
            let channel = try await loop.run { [self] in
                guard let channel = accept(number, counts: connect.service?.isUse ?? true) else {
                    throw BerthError(.quotaExceeded, "there are too many connections")
                }
                return channel
            }
            do {
                let place = try await place(connect)
                try await loop.run { [self] in
                    guard !channel.isOver else { return place.close() }
                    answer(.connected(.init(channel: number)))
                    place.begin(channel)
                }
            } catch {
                let reason = BerthError(wrapping: error).message
                loop.execute { channel.finish(.reset(reason: reason, afterItsEnd: false)) }
                throw error
            }
        } catch {
            let reason = String(BerthError(wrapping: error).message.prefix(200))
            loop.execute { [self] in answer(.refused(.init(channel: number, reason: reason))) }
        }
    }

    /// What the other end of a channel is going to be.
    private enum Place: Sendable {
        case socket(Socket)
        case service(ServiceStart)

        func begin(_ channel: TCPChannel) {
            switch self {
            case .socket(let socket): SocketEnd(socket, channel).begin()
            case .service(let start): start(channel)
            }
        }

        func close() { if case .socket(let socket) = self { socket.close() } }
    }

    private func place(_ connect: ServerMessage.Connect) async throws -> Place {
        guard let service = connect.service else {
            return .socket(try await socket(for: connect))
        }
        guard let services else {
            throw BerthError(.unsupported, "this worker has no services")
        }
        return .service(try await services.start(service))
    }

    private func socket(for connect: ServerMessage.Connect) async throws -> Socket {
        guard let dial = connect.dial else { return try await socket(host: connect.host, port: connect.port) }
        return try await loop.run { [self] in
            guard let socket = takeDialling(dial) else { throw BerthError(.network, "the caller has gone") }
            return socket
        }
    }

    /// Only where the worker runs: a link is no way into the network around it.
    private func socket(host: String?, port: Int) async throws -> Socket {
        guard (1...65535).contains(port) else { throw BerthError(.invalidValue, "\(port) is no port") }
        let deadline = loop.time.uptime + Self.connectTime
        var failure: BerthError?
        for host in host.map({ [$0] }) ?? ["127.0.0.1", "::1"] {
            guard host == "::1" || host.hasPrefix("127."),
                let address = SocketAddress(numericHost: host, port: port)
            else { throw BerthError(.forbidden, "'\(host)' is not an address of the environment itself") }
            do {
                return try await Socket.connect(to: address, loop: loop, until: deadline)
            } catch {
                try Task.checkCancellation()
                failure = failure ?? BerthError(wrapping: error)
            }
        }
        throw failure ?? BerthError(.internal, "there is no address")
    }
}
