import API
import Base
import Domain
import Environments
import Relay
import Transport
import Workers

/// TCP connections to ports inside environments, each over a WebSocket of its own.
extension ServerCore {
    /// How long a worker has to connect to the port.
    private static let connectTime = Duration.seconds(15)

    func environmentTunnel(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await environment(context)
        let port = try Self.port(context)
        let record = try await reached(found)
        do {
            let link = try workers.socket(environment: record.id, instance: record.instance)
            return try await tunnel(through: link, to: port, context)
        } catch let error as BerthError where error.code == .unavailable {
            let replica = try await workers.replica(environment: record.id, instance: record.instance)
            guard
                let answer = try await forward.webSocket(
                    context,
                    at: "/v1/environments/\(record.id)/tcp?port=\(port)",
                    of: replica
                )
            else { throw error }
            return answer
        }
    }

    func workerTunnel(_ context: RequestContext) async throws -> HTTPResponse {
        let worker = try await workers.standing(
            context.parameter("workerId"),
            organization: try context.principal.organizationID
        )
        let port = try Self.port(context)
        do {
            return try await tunnel(through: try workers.socket(of: worker), to: port, context)
        } catch let error as BerthError where error.code == .unavailable {
            let replica = try await workers.replica(of: worker)
            guard
                let answer = try await forward.webSocket(
                    context,
                    at: "/v1/workers/\(worker)/tcp?port=\(port)",
                    of: replica
                )
            else { throw error }
            return answer
        }
    }

    private static func port(_ context: RequestContext) throws(BerthError) -> Int {
        let port = Int(try context.integer("port", default: 0))
        guard port > 0 else {
            throw BerthError(
                .missingField,
                "the port is missing",
                field: "port",
                remedy: "add ?port=N, 1 to 65535"
            )
        }
        guard context.request.asksForWebSocket else {
            throw BerthError(
                .invalidRequest,
                "this is a WebSocket",
                remedy: "connect with a WebSocket client, or use 'berth forward'"
            )
        }
        return port
    }

    private func tunnel(through link: any LinkTransport, to port: Int, _ context: RequestContext) async throws
        -> HTTPResponse
    {
        guard let link = link as? WebSocketLink else {
            throw BerthError(.internal, "the worker's link is no WebSocket")
        }
        let deadline = time.uptime + Self.connectTime
        let channel: OpenChannel
        do {
            channel = try await link.channels.connect(to: .port(port), until: deadline)
        } catch let error as BerthError where error.code == .network {
            var error = error
            error.message = "port \(port) took no connection: \(error.message)"
            error.remedy = "start the program that listens there, on its loopback address or on all addresses"
            throw error
        }
        return try handOver(channel, of: link.channels, context)
    }
}
