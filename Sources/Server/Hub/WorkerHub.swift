import API
import Base
import EventLoop
import Relay
import Synchronization
import Transport
import WorkerProtocol
import Workers

/// Accepts workers' WebSockets and hands their frames, in order, to ``WorkerService``. A class, because every connection
/// holds it several times.
final class WorkerHub: Sendable {
    let workers: WorkerService
    let tokens: WorkerTokens
    let files: TaskFiles
    let handOvers: HandOverFiles
    let variables: WorkerVariables
    let metrics: Metrics
    /// TCP connections through one worker at a time.
    let maximumChannels: Int
    /// Where allow-lists may lead.
    let reach: EgressReach
    let log: Log
    private let refusals = Mutex(LogRate())

    init(
        workers: WorkerService,
        tokens: WorkerTokens,
        files: TaskFiles,
        handOvers: HandOverFiles,
        variables: WorkerVariables,
        metrics: Metrics,
        maximumChannels: Int,
        reach: EgressReach = EgressReach(),
        log: Log
    ) {
        self.workers = workers
        self.tokens = tokens
        self.files = files
        self.handOvers = handOvers
        self.variables = variables
        self.metrics = metrics
        self.maximumChannels = maximumChannels
        self.reach = reach
        self.log = log
    }

    /// Berth's own heartbeat watches the peer, so no pings; prompts of several megabytes are one message; nothing is
    /// compressed, as the link mostly carries bytes that are relayed at speed.
    static var webSocket: WebSocketConfiguration {
        var configuration = WebSocketConfiguration()
        configuration.maximumMessageBytes = ProtocolLimits.maximumMessageBytes
        configuration.pingInterval = nil
        configuration.compression = nil
        return configuration
    }

    /// Whatever a worker asks of its own socket: the link, or a file beside it.
    func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let match = Self.matcher.match(method: request.method.rawValue, path: request.path)
        guard case .found(let place, let parameters) = match else { return try await accept(request) }
        return switch place.route.id {
        case .workerUpload: try await files.fetch(request, upload: parameters["uploadId"] ?? "")
        case .workerBundle: try await files.take(request, execution: parameters["executionId"] ?? "")
        case .workerHandOver: try await handOvers.fetch(request, parameters["handOverId"] ?? "")
        case .workerHandOverPut: try await handOvers.take(request, parameters["handOverId"] ?? "")
        case .workerVariables: try await variables.fetch(request, parameters["workspaceId"] ?? "")
        default: try await accept(request)
        }
    }

    private static let matcher = RouteMatcher(RouteTable.all.filter { $0.access == .worker })

    /// The token comes as a bearer, or as `?token=` from a peer that speaks only the documented protocol.
    func accept(_ request: HTTPRequest) async throws -> HTTPResponse {
        guard let token = FrontDoor.bearer(request) ?? request.queryValue("token").map({ Secret($0) }) else {
            throw BerthError(
                .unauthenticated,
                "a worker needs its token",
                remedy: "send 'Authorization: Bearer TOKEN'"
            )
        }
        let identity = try await authenticate(token, request)
        guard request.asksForWebSocket else {
            throw BerthError(
                .invalidRequest,
                "this is the workers' WebSocket",
                remedy: "connect with a WebSocket client"
            )
        }
        return HTTPResponse(
            status: 101,
            body: .webSocketHandOver(to: request.loop, configuration: Self.webSocket) { [self] socket in
                serve(socket, identity)
            }
        )
    }

    private func authenticate(_ token: Secret<String>, _ request: HTTPRequest) async throws -> WorkerIdentity {
        do {
            return try await tokens.authenticate(token: token)
        } catch let error as BerthError where error.code == .unauthenticated {
            // Whoever is refused comes again and again.
            if let unlogged = refusals.withLock({ $0.admit(at: request.loop.time.uptime) }) {
                log.warning(
                    "worker refused",
                    ["peer": request.peerName, "reason": error.message, "unlogged": unlogged]
                )
            }
            throw error
        }
    }

    private func serve(_ socket: WebSocket, _ identity: WorkerIdentity) {
        metrics.add(.workersConnected, 1)
        let channels = LinkChannels(
            socket,
            maximum: maximumChannels,
            observer: TunnelObserver(metrics: metrics, log: log)
        )
        let link = workers.connect(
            identity,
            over: WebSocketLink(
                socket: socket,
                channels: channels,
                egress: EgressConnections(channels: channels, reach: reach, log: log)
            )
        )
        LinkReader.begin(socket, channels, WorkerReceiver(link: link, metrics: metrics, log: log))
    }
}
