import API
import Base
import Database
import Domain
import Environments
import OpenSSL
import Relay
import Transport
import Workers

extension ReplicaForward {
    /// As ``webSocket(_:at:of:)``, for a request with an answer of its own, which is passed on whatever it says.
    func answer(_ context: RequestContext, at target: String, of replica: ReplicaID, limit: Int) async throws
        -> HTTPResponse?
    {
        let request = context.request
        guard let address = try await address(context, of: replica) else { return nil }
        var configuration = HTTPClientConfiguration()
        configuration.trust = trust
        let client = HTTPClient(loop: request.loop, configuration: configuration)
        var headers = HTTPHeaders()
        headers.set(
            ForwardedCaller.header,
            try ForwardedCaller.text(try context.principal, request.method, target, at: time.now, seal)
        )
        for name in ["content-type", "accept", "idempotency-key"] {
            if let value = request.headers[name] { headers.set(name, value) }
        }
        var url = try HTTPURL(address)
        url.target = target
        let body = try await request.body.collect(upTo: limit)
        let found: (status: Int, headers: HTTPHeaders, body: [UInt8])
        do {
            found = try await client.fetch(
                HTTPClientRequest(
                    request.method,
                    url,
                    headers: headers,
                    body: body.isEmpty ? .none : .bytes(body),
                    timeout: Self.answerTime
                )
            )
        } catch let error as BerthError where error.code == .network || error.code == .timedOut {
            await client.close()
            throw Self.silent(url, error)
        }
        await client.close()
        var answer = HTTPResponse(status: found.status, body: .bytes(found.body))
        for name in ["content-type", "etag", "retry-after"] {
            if let value = found.headers[name] { answer.headers.set(name, value) }
        }
        return answer
    }

    /// Longer than the other server itself waits for its worker, a wake included.
    private static let answerTime = Duration.seconds(150)
}

// Routes whose answer comes from an environment's worker.
extension ServerCore {
    /// Served as it comes where the worker is connected to this server, or to none; else that server's answer.
    func atItsWorker(_ context: RequestContext, _ serve: (RequestContext) async throws -> HTTPResponse) async throws
        -> HTTPResponse
    {
        guard let far = try await farAnswer(context) else { return try await serve(context) }
        return far
    }

    private func farAnswer(_ context: RequestContext) async throws -> HTTPResponse? {
        guard database.dialect.isShared, !context.request.headers.contains(ForwardedCaller.header) else { return nil }
        var record = try await environment(context)
        if Self.waking.contains(context.route.id) { record = try await reached(record) }
        guard record.state == .running,
            (try? workers.socket(environment: record.id, instance: record.instance)) == nil,
            let replica = try await workers.replica(environment: record.id, instance: record.instance)
        else { return nil }
        let request = context.request
        let target = request.rawQuery.isEmpty ? request.path : "\(request.path)?\(request.rawQuery)"
        if request.asksForWebSocket { return try await forward.webSocket(context, at: target, of: replica) }
        return try await forward.answer(context, at: target, of: replica, limit: configuration.maximumBodyBytes)
    }

    /// These do not answer before the environment runs.
    private static let waking: Set<RouteID> = [.terminalCreate, .terminalAttach, .sshPrepare, .sshConnect]
}
