import API
import Base
import Crypto
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol

/// `getSSHCredentials` of the provider protocol: a loopback port that carries the channel of `…/ssh/connect`, with a key
/// that is made for it.
extension ServerCore {
    private static let callTime = Duration.seconds(30)
    private static let standardLifetimeMs: Int64 = 3_600_000

    func sshCredentials(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let lifetime = try context.integer("expiresInMs", default: Self.standardLifetimeMs)
        return try Self.json(try await sshLogin(record, lifetimeMs: lifetime, context.principal), status: 201)
    }

    func sshCredentialsEnd(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let token = context.parameter("token")
        try await sshDoors.end(token: token, environment: record.id.text)
        return try Self.json(SSHCredentialsEnd(token: token))
    }

    /// The documents' own procedures: an environment by `workspaceId` or `vmId`.
    func documentedSSHCredentials(_ context: RequestContext) async throws -> HTTPResponse {
        let call = try await DocumentedProcedure(context, limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let name = context.route.id == .vmGetSSHCredentials ? "vmId" : "workspaceId"
        let (record, _) = try await documentedPlace(try call.required(name), principal)
        let login = try await sshLogin(record, lifetimeMs: Self.standardLifetimeMs, principal)
        return try DocumentedProcedure.answer(
            .object([
                "host": .string(login.host), "port": .integer(Int64(login.port)), "username": .string(login.username),
                "privateKey": .string(login.privateKey), "token": .string(login.token),
                "hostKey": .string(login.hostKey), "expiresAt": JSONValue(login.expiresAt),
            ])
        )
    }

    private func sshLogin(_ record: EnvironmentRecord, lifetimeMs: Int64, _ principal: Principal) async throws
        -> SSHCredentials
    {
        guard record.state == .running else {
            throw BerthError(
                .illegalTransition,
                "\(record.name) is \(record.state); a login is for an environment that runs",
                remedy: "berth env start \(record.name), or use 'berth ssh', which wakes it"
            )
        }
        let place = try await channels(of: record).call(SSHPreparation(), until: time.uptime + Self.callTime)
        let randomness = SystemRandomness()
        let pair = try OpenSSHKeyPair(randomness: randomness, comment: "berth \(record.name)")
        let token = "berthl_\(Hex.encode(randomness.bytes(16)))"
        let publicKey = pair.publicKey
        let (port, handle) = try await sshDoors.open(
            token: token,
            environment: record.id.text,
            for: .milliseconds(lifetimeMs)
        ) { [self] in
            // As of now: it may have been stopped and started, or sleep.
            let now = try await reached(record)
            let link = try channels(of: now)
            let connection = try ServiceRequest(SSHConnection(publicKey: publicKey))
            let channel = try await link.connect(to: .service(connection), until: time.uptime + Self.callTime)
            return SSHPassage(link: link, channel: channel)
        }
        sessions.add(handle, key: principal.keyID)
        return SSHCredentials(
            environmentId: record.id,
            host: SSHDoors.host,
            port: port,
            username: place.user,
            privateKey: pair.privateKey.reveal(),
            token: token,
            hostKey: place.hostKey,
            expiresAt: time.now + .milliseconds(lifetimeMs)
        )
    }
}
