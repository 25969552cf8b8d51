public import WorkerProtocol

/// Attaches a service to the channel that asked for it. Called once, on the link's loop.
public typealias ServiceStart = @Sendable (TCPChannel) -> Void

/// What a worker offers on channels besides TCP ports.
public protocol ChannelServices: Sendable {
    /// Looks at the request before the channel is confirmed: what it throws refuses it.
    func start(_ request: ServiceRequest) async throws -> ServiceStart
}

/// Where a channel leads.
public enum ChannelTarget: Sendable, CustomStringConvertible {
    /// A TCP port on the loopback of the environment.
    case port(Int)
    case service(ServiceRequest)

    public var description: String {
        switch self {
        case .port(let port): "port \(port)"
        case .service(let request): "the service \(request.name)"
        }
    }

    func message(channel: UInt32) -> ServerMessage.Connect {
        switch self {
        case .port(let port): .init(channel: channel, port: port)
        case .service(let request): .init(channel: channel, port: 0, service: request)
        }
    }
}
