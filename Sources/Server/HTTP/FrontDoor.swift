import API
import Base
import Domain
import EventLoop
import Transport

/// Every request comes in here: match, authenticate, authorize, call, encode, log.
struct FrontDoor: Sendable {
    let matcher = RouteMatcher()
    let server: ServerCore
    let log: Log
    let metrics: Metrics

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let began = request.loop.time.uptime
        var name = "none"
        var response: HTTPResponse
        do {
            let (route, parameters) = try match(request)
            name = route.id.rawValue
            response = try await answer(request, route, parameters)
        } catch {
            response = Self.problem(BerthError(wrapping: error), request: request, log: log)
            if case .methodNotAllowed(let methods) = find(request) {
                response.headers.set("allow", methods.map(\.rawValue).joined(separator: ", "))
            }
        }
        response.headers.set("x-request-id", request.id.text)
        let took = request.loop.time.uptime - began
        metrics.add("berth_requests_total", #"route="\#(name)",status="\#(response.status)""#)
        log.info(
            "request",
            [
                "request_id": request.id, "method": request.method, "route": name, "status": response.status,
                "took_us": took.wholeNanoseconds / 1000,
            ]
        )
        return response
    }

    private func find(_ request: HTTPRequest) -> RouteMatcher.Match {
        var segments = request.segments
        // Where a peer that speaks only the documented protocol connects.
        if segments.isEmpty, request.asksForWebSocket { segments = ["v1", "worker"] }
        return matcher.match(method: request.method.rawValue, segments: segments)
    }

    private func match(_ request: HTTPRequest) throws(BerthError) -> (Route, [String: String]) {
        switch find(request) {
        case .found(let route, let parameters): return (route, parameters)
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
        }
    }

    private func answer(_ request: HTTPRequest, _ route: Route, _ parameters: [String: String]) async throws
        -> HTTPResponse
    {
        let caller: Principal? =
            switch route.access {
            case .open, .worker: nil
            case .read, .run, .manageEnvironments, .manageKeys: try await authenticate(request)
            }
        if let caller, let needed = route.access.permissions, !caller.role.permissions.isSuperset(of: needed) {
            throw BerthError(
                .forbidden,
                "the role \(caller.role.rawValue) may not do this",
                remedy: "ask an admin of the organization"
            )
        }
        let context = RequestContext(
            request: request,
            route: route,
            parameters: parameters,
            caller: caller,
            log: log.with(["request_id": request.id])
        )
        try context.checkQuery()
        guard route.isAudited, let caller else { return try await server.respond(context) }
        let response = try await server.respond(context)
        context.log.info(
            "audit",
            [
                "action": route.id.rawValue, "user_id": caller.userID, "organization_id": caller.organizationID,
                "key_id": caller.keyID?.text ?? "", "subject": parameters.values.first ?? "", "status": response.status,
            ]
        )
        return response
    }

    private func authenticate(_ request: HTTPRequest) async throws -> Principal {
        guard let token = Self.bearer(request) else {
            throw BerthError(
                .unauthenticated,
                "this needs an API key",
                remedy: "send 'Authorization: Bearer KEY'; the key of a local server is in DATA/api-key"
            )
        }
        return try await server.authenticate(token)
    }

    static func bearer(_ request: HTTPRequest) -> Secret<String>? {
        guard let value = request.headers["authorization"] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return Secret(parts[1].trimmed)
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
        }
    }
}
