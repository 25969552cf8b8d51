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
    /// As ``webSocket(_:at:of:)``, for a request with an answer of its own, which is passed on whatever it says, piece by
    /// piece as it comes.
    /// - Parameter sessions: event streams end with the caller's key.
    func answer(_ context: RequestContext, at target: String, of replica: ReplicaID, sessions: OpenSessions)
        async throws -> HTTPResponse?
    {
        let request = context.request
        guard let address = try await address(context, of: replica) else { return nil }
        var configuration = HTTPClientConfiguration()
        configuration.trust = trust
        configuration.maximumRedirects = 0
        // The bytes as they are; their length is told to the caller.
        configuration.decompresses = false
        let client = HTTPClient(loop: request.loop, configuration: configuration)
        var headers = HTTPHeaders()
        headers.set(
            ForwardedCaller.header,
            try ForwardedCaller.text(try context.principal, request.method, target, at: time.now, seal)
        )
        for name in Self.passedOn { if let value = request.headers[name] { headers.set(name, value) } }
        var url = try HTTPURL(address)
        url.target = target
        let response: HTTPClientResponse
        do {
            response = try await client.send(
                HTTPClientRequest(
                    request.method,
                    url,
                    headers: headers,
                    body: Self.body(of: request),
                    headTimeout: Self.transfers.contains(context.route.id) ? Self.transferTime : Self.answerTime
                )
            )
        } catch let error as BerthError where error.code == .network || error.code == .timedOut {
            await client.close()
            throw Self.silent(url, error)
        }
        var answer = HTTPResponse(status: response.status)
        for name in Self.passedBack { if let value = response.headers[name] { answer.headers.set(name, value) } }
        if response.headers["content-type"]?.hasPrefix("text/event-stream") == true {
            answer.body = Self.events(response, client, sessions, key: try context.principal.keyID)
        } else {
            let length = response.headers["content-length"].flatMap { Int($0) }
            answer.body = .stream(length: length) { writer in
                while let bytes = try await response.body.next() { try await writer.write(bytes) }
                await client.close()
            }
        }
        return answer
    }

    private static let passedOn = [
        "content-type", "accept", "idempotency-key", "if-match", "if-none-match", "last-event-id", "range",
    ]
    private static let passedBack = [
        "content-type", "etag", "retry-after", "cache-control", "content-disposition", "berth-file-kind",
    ]

    private static func body(of request: HTTPRequest) -> HTTPClientRequest.Body {
        let length = request.headers["content-length"].flatMap { Int($0) }
        guard length.map({ $0 > 0 }) ?? request.headers.contains("transfer-encoding") else { return .none }
        return .stream(length: length) { writer in
            while let bytes = try await request.body.next() { try await writer.write(bytes) }
        }
    }

    /// Event by event: comments for a quiet connection are this server's own.
    private static func events(
        _ response: HTTPClientResponse,
        _ client: HTTPClient,
        _ sessions: OpenSessions,
        key: APIKeyID?
    ) -> HTTPResponse.Body {
        .events { writer in
            sessions.add(writer, key: key)
            var parser = EventStreamParser()
            while let bytes = try await response.body.next() {
                var encoder = EventEncoder()
                for event in try parser.feed(bytes) {
                    encoder.append(event: event.event, id: event.id, data: event.data.utf8)
                }
                if !encoder.isEmpty { try await writer.write(encoder.finish()) }
            }
            await client.close()
        }
    }

    /// Longer than the other server itself waits for its worker, a wake included.
    private static let answerTime = Duration.seconds(150)
    /// The same where a remote is waited for.
    private static let transferTime = Duration.seconds(660)
    private static let transfers: Set<RouteID> = [.workspaceSync, .gitPush, .gitPull]
}

// Routes whose answer comes from an environment's worker.
extension ServerCore {
    /// Served as it comes where the worker is connected to this server, or to none; else that server's answer.
    /// - Parameter environment: the one that the request is about; nil: its path names it.
    func atItsWorker(
        _ context: RequestContext,
        of environment: ((RequestContext) async throws -> EnvironmentRecord)? = nil,
        _ serve: (RequestContext) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        guard let far = try await farAnswer(context, of: environment) else { return try await serve(context) }
        return far
    }

    private func farAnswer(
        _ context: RequestContext,
        of named: ((RequestContext) async throws -> EnvironmentRecord)?
    ) async throws -> HTTPResponse? {
        guard database.dialect.isShared, !context.request.headers.contains(ForwardedCaller.header) else { return nil }
        var record: EnvironmentRecord
        if let named { record = try await named(context) } else { record = try await environment(context) }
        if Self.wakes(context) { record = try await reached(record) }
        guard record.state == .running,
            (try? workers.socket(environment: record.id, instance: record.instance)) == nil,
            let replica = try await workers.replica(environment: record.id, instance: record.instance)
        else { return nil }
        let request = context.request
        let target = request.rawQuery.isEmpty ? request.path : "\(request.path)?\(request.rawQuery)"
        if request.asksForWebSocket { return try await forward.webSocket(context, at: target, of: replica) }
        return try await forward.answer(context, at: target, of: replica, sessions: sessions)
    }

    /// Whether the request is not answered before the environment runs.
    private static func wakes(_ context: RequestContext) -> Bool {
        if context.route.id == .agentSessionEvents { return wantsToRun(context) }
        return waking.contains(context.route.id)
    }

    private static let waking: Set<RouteID> = [
        .terminalCreate, .terminalAttach, .sshPrepare, .sshConnect, .gitStatus, .gitDiff, .gitLog, .gitCommit,
        .gitBranchList, .gitBranchCreate, .gitSwitch, .gitPush, .gitPull, .fileList, .fileStat, .fileRead, .fileWrite,
        .fileRemove, .fileMakeDirectory, .fileMove, .fileSearch, .fileWatch, .treeDownload, .treeUpload,
        .agentSessionCreate, .agentSessionSend, .agentSessionWithdraw, .agentSessionAnswer, .agentSessionInterrupt,
        .agentSessionChange, .agentSessionStop, .agentSessionRemove, .workspaceSync, .workspaceConfiguration,
        .workspaceRun, .workspaceRunStart, .workspaceRunStop,
    ]
}
