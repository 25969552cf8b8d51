import API
import Base
import Testing

@Suite struct RouteTableTests {
    @Test func `every operation has one route and every path has one meaning`() {
        #expect(RouteTable.all.map(\.id.rawValue).sorted() == RouteID.allCases.map(\.rawValue).sorted())
        let keys = RouteTable.all.map { "\($0.method.rawValue) \($0.path)" }
        #expect(Set(keys).count == keys.count)
    }

    @Test func `paths are matched with their parameters`() {
        let matcher = RouteMatcher()
        guard
            case .found(let place, let parameters) = matcher.match(
                method: "POST",
                path: "/v1/executions/exec_1/cancel"
            )
        else {
            Issue.record("no route")
            return
        }
        #expect(place.route.id == .executionCancel)
        #expect(parameters["executionId"] == "exec_1")
        #expect(parameters["environmentId"] == nil)
        guard case .methodNotAllowed(let allowed) = matcher.match(method: "PUT", path: "/v1/executions") else {
            Issue.record("the method was allowed")
            return
        }
        #expect(allowed == [.post, .get])
        guard case .notFound = matcher.match(method: "GET", path: "/v1/nothing") else {
            Issue.record("there is such a path")
            return
        }
    }

    @Test(
        arguments: [
            ("/v1/environments/a%20b", "a b"), ("/v1/environments/a%2Fb", "a/b"), ("/v1%2Fenvironments/x", nil),
            ("/v1/environments/", ""), ("/v1/environments//", nil), ("//v1/environments/x", nil),
            ("/v1/%65nvironments/x", "x"),
            ("/v1/environments/x/", nil), ("/v1/environments/%E2%98%83", "☃"), ("/", nil), ("*", nil), ("", nil),
            ("/v1/environments/1/2/3/4/5/6/7/8/9", nil), ("/v1/Environments/x", nil),
        ] as [(String, String?)]
    )
    func `segments are compared decoded, each for itself`(path: String, environment: String?) {
        guard case .found(let place, let parameters) = RouteMatcher().match(method: "GET", path: path) else {
            #expect(environment == nil)
            return
        }
        #expect(place.route.id == .environmentGet)
        #expect(parameters["environmentId"] == environment)
    }

    @Test func `every route is found by its own path, and by no other method`() {
        let matcher = RouteMatcher()
        for route in RouteTable.all {
            let path =
                "/"
                + route.segments.map { if case .literal(let text) = $0 { text } else { "x" } }.joined(separator: "/")
            guard case .found(let place, _) = matcher.match(method: route.method.rawValue, path: path) else {
                Issue.record("\(path) is not found")
                continue
            }
            #expect(place.route.id == route.id)
            #expect(RouteTable.all[place.number].id == route.id)
            if case .found = matcher.match(method: "PATCH", path: path) { Issue.record("\(path) takes PATCH") }
        }
    }

    @Test func `only what tells nothing is open`() {
        let open = RouteTable.all.filter { $0.access == .open }.map(\.path)
        #expect(open.sorted() == ["/health", "/healthz", "/metrics", "/openapi.json", "/readyz", "/version"])
    }

    @Test func `the description names every operation and resolves every reference`() throws {
        let document = OpenAPI.document()
        let text = String(decoding: try JSONBody.encode(document), as: UTF8.self)
        for id in RouteID.allCases { #expect(text.contains("\"operationId\":\"\(id.rawValue)\"")) }
        for part in text.split(separator: "#/components/schemas/").dropFirst() {
            let name = String(part.prefix { $0 != "\"" })
            #expect(document["components"]?["schemas"]?[name] != nil, "\(name)")
        }
    }

    @Test func `a position survives its text form and nothing else passes`() throws {
        let position = StreamPosition(attempt: 1, stdout: 5, stderr: 0, agent: 3, state: 12)
        #expect(try StreamPosition(position.description) == position)
        for text in ["", "1", "1.2.3.4", "1.2.3.4.-5", "a.b.c.d.e", "1.2.3.4.5.6"] {
            #expect(throws: BerthError.self) { try StreamPosition(text) }
        }
    }
}
