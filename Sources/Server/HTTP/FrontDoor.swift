import API
import Base
import Database
import Domain
import EventLoop
import Transport

/// Every request comes in here: match, authenticate, authorize, call, encode, count, log.
struct FrontDoor: Sendable {
    static let matcher = RouteMatcher()

    let server: ServerCore
    let log: Log
    let metrics: Metrics

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let began = request.loop.time.uptime
        let match = Self.find(request)
        var response: HTTPResponse
        do {
            response = try await answer(request, match)
        } catch {
            response = Self.problem(BerthError(wrapping: error), request: request, log: log)
            if case .methodNotAllowed(let methods) = match {
                response.headers.set("allow", methods.map(\.rawValue).joined(separator: ", "))
            }
        }
        response.headers.add("x-request-id", request.id.text)
        response = response.prepared(for: request)
        let took = request.loop.time.uptime - began
        let status = response.status
        let place: RoutePlace? = if case .found(let place, _) = match { place } else { nil }
        metrics.answered(place, status: status, took: took, on: request.loop)
        log.info("request") { line in
            line.add("request_id", request.id.text)
            line.add("method", request.method.rawValue)
            line.add("route", place?.route.id.rawValue ?? "none")
            line.add("status", Int64(status))
            line.add("took_us", took.wholeNanoseconds / 1000)
            line.add("peer", request.peerName)
        }
        return response
    }

    private static func find(_ request: HTTPRequest) -> RouteMatcher.Match {
        // Where a peer that speaks only the documented protocol connects.
        let path = request.path == "/" && request.asksForWebSocket ? "/v1/worker" : request.path
        return matcher.match(method: request.method.rawValue, path: path)
    }

    private func answer(_ request: HTTPRequest, _ match: RouteMatcher.Match) async throws -> HTTPResponse {
        switch match {
        case .found(let place, let parameters): return try await answer(request, place, parameters)
        case .methodNotAllowed(let methods):
            throw BerthError(
                .methodNotAllowed,
                "\(request.method) is not allowed here",
                remedy: "allowed: \(methods.map(\.rawValue).joined(separator: ", "))"
            )
        case .notFound:
            throw BerthError(
                .notFound,
                "there is no \(request.path.prefix(200))",
                remedy: "see /openapi.json for all paths"
            )
        case .broken(let field): throw HTTPRequest.brokenEscapes("what the path names", field: field)
        }
    }

    private func answer(_ request: HTTPRequest, _ place: RoutePlace, _ parameters: RouteParameters) async throws
        -> HTTPResponse
    {
        let caller: Principal? =
            switch place.route.access {
            case .open, .worker: nil
            case .read, .run, .manageEnvironments, .manageKeys, .manageOrganization:
                try await authenticate(request)
            }
        if let caller, let needed = place.route.access.permissions,
            !caller.role.permissions.isSuperset(of: needed)
        {
            throw BerthError(
                .forbidden,
                "the role \(caller.role.rawValue) may not do this",
                remedy: "ask an admin of the organization"
            )
        }
        let context = RequestContext(
            request: request,
            place: place,
            parameters: parameters,
            caller: caller,
            serverLog: log
        )
        if !request.rawQuery.isEmpty { try context.checkQuery() }
        let response = try await respond(context)
        if place.route.isAudited, let caller { audit(context, caller, status: response.status) }
        return response
    }

    /// The answer to a change names the number from which on followers of the feed have seen it.
    private func respond(_ context: RequestContext) async throws -> HTTPResponse {
        guard context.route.method != .get, let caller = context.caller else {
            return try await server.respond(context)
        }
        let receipt = FeedReceipt(caller.organizationID)
        var response = try await FeedReceipt.$current.withValue(receipt) { try await server.respond(context) }
        // Nothing was left to change, or it is no event: what holds now is seen by then.
        let seq = if let seq = receipt.seq { seq } else { try await server.feed.position(caller.organizationID) }
        response.headers.set("berth-seq", "\(seq)")
        return response
    }

    private func audit(_ context: RequestContext, _ caller: Principal, status: Int) {
        context.log.info(
            "audit",
            [
                "action": context.route.id.rawValue, "user_id": caller.userID,
                "organization_id": caller.organizationID, "key_id": caller.keyID?.text ?? "",
                "subject": context.parameters.first ?? "", "status": status,
            ]
        )
    }

    private func authenticate(_ request: HTTPRequest) async throws -> Principal {
        guard server.configuration.role.answersClients || request.headers.contains(ForwardedCaller.header) else {
            throw BerthError(
                .unavailable,
                "this server runs jobs only",
                remedy: "ask one of the same database with the role 'api' or 'all'"
            )
        }
        if let word = request.headers[ForwardedCaller.header] { return try server.forward.principal(word, request) }
        guard let token = Self.bearer(request) else {
            throw BerthError(
                .unauthenticated,
                "this needs an API key",
                remedy: "send 'Authorization: Bearer KEY'; the key of a local server is in DATA/api-key"
            )
        }
        return try await server.authenticate(token)
    }

    /// The scheme's name has no case (RFC 9110, section 11.1).
    static func bearer(_ request: HTTPRequest) -> Secret<String>? {
        guard var value = request.headers["authorization"] else { return nil }
        return value.withUTF8 { given in
            let scheme: StaticString = "bearer "
            let isBearer =
                given.count > scheme.utf8CodeUnitCount
                && scheme.withUTF8Buffer { zip(given, $0).allSatisfy { $0 == $1 || $0 | 0x20 == $1 } }
            guard isBearer else { return nil }
            // Several spaces may divide the two; what stands at the end, the parser has cut off.
            var start = scheme.utf8CodeUnitCount
            while start < given.count, given[start] == 0x20 { start += 1 }
            return Secret(String(decoding: given[start...], as: UTF8.self))
        }
    }

    static func problem(_ error: BerthError, request: HTTPRequest, log: Log) -> HTTPResponse {
        if error.code.httpStatus >= 500 {
            log.error(
                "request failed",
                [
                    "request_id": request.id, "code": error.code, "error": error.message,
                    "detail": error.detail ?? "",
                ]
            )
        }
        return problem(error, requestID: request.id.text)
    }

    static func problem(_ error: BerthError, requestID: String?) -> HTTPResponse {
        let problem = Problem(error, requestId: requestID)
        let bytes = (try? JSONBody.encode(problem)) ?? Array(#"{"code":"internal","status":500}"#.utf8)
        var headers: HTTPHeaders = ["content-type": Problem.mediaType]
        if error.code == .unauthenticated { headers.set("www-authenticate", "Bearer") }
        if error.isRetryable, [.unavailable, .quotaExceeded].contains(error.code) { headers.set("retry-after", "5") }
        return HTTPResponse(status: problem.status, headers: headers, body: .bytes(bytes))
    }
}

extension Access {
    /// What a role must allow; nil where no person is asked.
    var permissions: Permissions? {
        switch self {
        case .open, .worker: nil
        case .read: .read
        case .run: .run
        case .manageEnvironments: .manageEnvironments
        case .manageKeys: .manageKeys
        case .manageOrganization: .manageOrganization
        }
    }
}
