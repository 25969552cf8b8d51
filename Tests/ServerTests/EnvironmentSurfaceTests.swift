import API
import Base
import Testing

/// What can be asked of environments beside their verbs, over the wire, and the documents' own names for it.
@Suite struct EnvironmentSurfaceTests {
    private static let foreign = "env_01jd0000000000000000000000"

    @Test func `before its first use there is none of one's own, and its documented form is null`()
        async throws
    {
        try await RunningServer.with { server in
            let mine = try await server.request("GET", "/v1/environments/mine")
            #expect(mine.status == 404)
            #expect(mine.body?["remedy"]?.string?.contains("berth env provision") == true)
            let documented = try await server.request("GET", "/api/trpc/vm.getMyVm")
            #expect(documented.status == 200)
            #expect(documented.body?["result"]?["data"] == .null)
            let logs = try await server.request("GET", "/api/trpc/vm.getProvisionLogs")
            #expect(logs.body?["result"]?["data"] == .array([]))
        }
    }

    @Test func `flavours are the documents' three, and what is granted is no more than the machine`() async throws {
        try await RunningServer.with { server in
            let answer = try await server.request("GET", "/v1/flavours")
            let items = try #require(answer.body?["items"]?.array)
            #expect(items.compactMap { $0["name"]?.string } == ["free", "pro", "unlimited"])
            for item in items {
                let asked = try #require(item["limits"]?["memoryBytes"]?.integer)
                let granted = try #require(item["granted"]?["memoryBytes"]?.integer)
                #expect(granted > 0)
                #expect(granted <= asked)
            }
            let documented = try await server.request("GET", "/api/trpc/vm.listFlavors")
            #expect(documented.body?["result"]?["data"]?.array?.first?["vcpus"]?.number == 2)
        }
    }

    @Test func `an empty organization's overview has its one server and no environment`() async throws {
        try await RunningServer.with { server in
            let answer = try await server.request("GET", "/v1/admin/environments")
            #expect(answer.status == 200)
            #expect(answer.body?["environments"]?.array == [])
            #expect(answer.body?["hosts"]?.array?.count == 1)
            #expect(answer.body?["statistics"]?["total"]?.integer == 0)
            let documented = try await server.request("GET", "/api/trpc/vm.getAllVms")
            #expect(documented.body?["result"]?["data"]?["stats"]?["total"]?.integer == 0)
        }
    }

    @Test(arguments: [
        ("vm.destroyVm", #"{"vmId":"env_01jd0000000000000000000000"}"#, 404, "not_found"),
        ("vm.destroyVm", #"{"vmId":"../../etc/passwd"}"#, 400, "invalid_identifier"),
        ("vm.destroyVm", "{}", 400, "missing_field"), ("vm.destroyVm", "{", 400, "invalid_json"),
        ("vm.startMyVm", "{}", 404, "not_found"),
        ("vm.destroyMyVm", #"{"vmId":"env_01jd0000000000000000000000"}"#, 400, "invalid_value"),
        ("vm.destroyMyVm", #"{"json":["x"]}"#, 400, "invalid_value"),
        ("vm.destroyMyVm", #"{"json":null}"#, 404, "not_found"),
        ("vm.provisionMyVm", #"{"vcpus":99}"#, 400, "invalid_value"),
        ("vm.provisionMyVm", #"{"memoryMb":"much"}"#, 400, "invalid_value"),
        ("vm.createVM", #"{"branch":"main"}"#, 400, "missing_field"),
        ("vm.createVM", #"{"repoUrl":"https://example.com/a","branch":"../x"}"#, 400, "invalid_value"),
        ("cloudWorkspace.pause", #"{"json":{"workspaceId":"env_01jd0000000000000000000000"}}"#, 404, "not_found"),
    ])
    func `bad input to a documented procedure is refused by name`(
        procedure: String,
        input: String,
        status: Int,
        code: String
    ) async throws {
        try await RunningServer.with { server in
            let answer = try await server.request("POST", "/api/trpc/\(procedure)", body: input)
            #expect(answer.status == status)
            #expect(answer.body?["code"]?.string == code)
        }
    }

    @Test(arguments: ["..%2F..%2Fetc", "%00", "env_%2E%2E", "env_01jd000000000000000000000!", "mine%2Flog"])
    func `a path in an id leads nowhere`(id: String) async throws {
        try await RunningServer.with { server in
            for path in ["log", "transitions", "executions", "why"] {
                let answer = try await server.request("GET", "/v1/environments/\(id)/\(path)")
                #expect([400, 404].contains(answer.status), "\(path)")
            }
            let destroyed = try await server.request("POST", "/v1/admin/environments/\(id)/destroy")
            #expect([400, 404].contains(destroyed.status))
        }
    }

    @Test(arguments: ["-1", "0", "x", "99999999999999999999"])
    func `a cursor of no page of transitions is refused by name`(cursor: String) async throws {
        try await RunningServer.with { server in
            let path = "/v1/environments/\(Self.foreign)/transitions?cursor=\(cursor)"
            let answer = try await server.request("GET", path)
            #expect(answer.status == 400)
            #expect(answer.body?["field"]?.string == "cursor")
        }
    }

    @Test func `execute takes code or a command, and an unknown environment is not found`() async throws {
        try await RunningServer.with { server in
            let path = "/v1/environments/\(Self.foreign)/execute"
            let executed = try await server.request("POST", path, body: #"{"code":"true"}"#)
            #expect(executed.status == 404)
            let network = "/v1/environments/\(Self.foreign)/network"
            let changed = try await server.request("PUT", network, body: #"{"kind":"none"}"#)
            #expect(changed.status == 404)
        }
    }
}
