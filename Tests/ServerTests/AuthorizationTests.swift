import API
import Base
import Testing
import Transport

/// Made from the route table: a new route is tested by being declared.
@Suite struct AuthorizationTests {
    /// A path of the route with ids that exist nowhere.
    private static func foreignPath(_ route: Route) -> String {
        let ids = [
            "executionId": "exec_01jd0000000000000000000000", "environmentId": "env_01jd0000000000000000000000",
            "workspaceId": "ws_01jd0000000000000000000000", "repositoryId": "repo_01jd0000000000000000000000",
            "keyId": "key_01jd0000000000000000000000", "jobId": "job_01jd0000000000000000000000",
        ]
        return "/"
            + route.segments.map { segment in
                switch segment {
                case .literal(let text): text
                case .parameter(let name): ids[name] ?? "unknown"
                }
            }.joined(separator: "/")
    }

    @Test func `without a key every route but the open ones answers 401`() async throws {
        try await RunningServer.with { server in
            for route in RouteTable.all {
                let answer = try await server.request(
                    route.method.rawValue,
                    Self.foreignPath(route),
                    body: route.body == nil ? nil : "{}",
                    isAuthenticated: false
                )
                if route.access == .open {
                    #expect(answer.status == 200, "\(route.id)")
                } else {
                    #expect(answer.status == 401, "\(route.id)")
                    #expect(answer.body?["code"]?.string == "unauthenticated", "\(route.id)")
                    #expect(answer.headers["content-type"] == Problem.mediaType)
                }
            }
        }
    }

    @Test func `a wrong key is refused everywhere`() async throws {
        try await RunningServer.with { server in
            for route in RouteTable.all where route.access != .open {
                let answer = try await server.request(
                    route.method.rawValue,
                    Self.foreignPath(route),
                    body: route.body == nil ? nil : "{}",
                    headers: ["authorization": "Bearer berth_000000000000000000000000000000000000000000000000"],
                    isAuthenticated: false
                )
                #expect(answer.status == 401, "\(route.id)")
            }
        }
    }

    @Test func `an id that is not one's own is not found`() async throws {
        try await RunningServer.with { server in
            for route in RouteTable.all where !route.parameters.isEmpty && route.access != .worker {
                let answer = try await server.request(route.method.rawValue, Self.foreignPath(route))
                #expect(answer.status == 404, "\(route.id)")
                #expect(answer.body?["code"]?.string == "not_found", "\(route.id)")
            }
        }
    }
}
