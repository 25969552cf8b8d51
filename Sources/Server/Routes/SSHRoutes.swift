import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol

/// `/v1/environments/{environmentId}/ssh`: the way to the environment's own OpenSSH server. Who may open the channel is
/// asked here; the key in it is the one that the caller is about to show.
extension ServerCore {
    private static let callTime = Duration.seconds(30)

    func sshPrepare(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await reached(try await environment(context))
        let place = try await channels(of: record).call(SSHPreparation(), until: time.uptime + Self.callTime)
        return try Self.json(
            SSHAccess(
                environmentId: record.id,
                name: record.name,
                user: place.user,
                hostKey: place.hostKey,
                workspaceRoot: place.workspaceRoot
            )
        )
    }

    func sshConnect(_ context: RequestContext) async throws -> HTTPResponse {
        let found = try await environment(context)
        guard context.request.asksForWebSocket else {
            throw BerthError(
                .invalidRequest,
                "this is a WebSocket",
                remedy: "connect with a WebSocket client, or use 'berth ssh'"
            )
        }
        guard let key = context.text("publicKey") else {
            throw BerthError(
                .missingField,
                "the client's public key is missing",
                field: "publicKey",
                remedy: "send the line of a .pub file, such as 'ssh-ed25519 AAAA…'"
            )
        }
        let record = try await reached(found)
        let link = try channels(of: record)
        let channel = try await link.connect(
            to: .service(try ServiceRequest(SSHConnection(publicKey: key))),
            until: time.uptime + Self.callTime
        )
        return try handOver(channel, of: link, context)
    }

    /// Answers with a WebSocket that the channel's bytes go through.
    func handOver(_ channel: OpenChannel, of link: LinkChannels, _ context: RequestContext) throws -> HTTPResponse {
        let key = try context.principal.keyID
        return HTTPResponse(
            status: 101,
            body: .webSocketHandOver(to: link.loop, configuration: OpenChannel.webSocket) { [sessions] socket in
                sessions.add(socket, key: key)
                channel.serve(socket)
            }
        )
    }
}
