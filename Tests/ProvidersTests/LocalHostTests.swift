import Base
import Domain
import Testing

@testable import Providers

@Suite struct LocalHostTests {
    @Test func `the first range of the user that is long enough is taken`() {
        let text = """
            # comment
            other:100000:65536
            me:165536:1000
            me:200000:65536
            1001:300000:65536
            """
        #expect(LocalHost.range(in: text, of: ["me", "1000"]) == 200_000)
        #expect(LocalHost.range(in: text, of: ["1001"]) == 300_000)
        #expect(LocalHost.range(in: text, of: ["nobody"]) == nil)
    }

    private func host(_ ids: LocalHost.IDs, groups: ControlGroups? = nil, disk: Bool = false, pasta: String? = nil)
        -> LocalHost
    {
        LocalHost(ids: ids, groups: groups, pasta: pasta, makesFileSystems: disk, limitations: ["a", "b"])
    }

    @Test func `what an ordinary user cannot enforce is refused by name when limits are required`() throws {
        let capabilities = host(.single).capabilities
        #expect(capabilities.limits == .rlimit)
        #expect(capabilities.pause == .none)
        #expect(capabilities.unenforced(.standard) == ["limits.cpus", "limits.memoryBytes", "limits.diskBytes"])
        var request = InstanceRequest(environmentID: try EnvironmentID("env_01jd0000000000000000000000"), label: "l")
        request.network = .none
        try request.check(against: capabilities)
        request.limitsPolicy = .required
        let error = #expect(throws: BerthError.self) { try request.check(against: capabilities) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("limits.memoryBytes") == true)
        #expect(error?.remedy == "a; b")
    }

    @Test func `a network that cannot be given is refused, also for a host port alone`() throws {
        let capabilities = host(.shifted(base: 1000), groups: ControlGroups(.two("/x")), disk: true).capabilities
        var request = InstanceRequest(environmentID: try EnvironmentID("env_01jd0000000000000000000000"), label: "l")
        #expect(throws: BerthError.self) { try request.check(against: capabilities) }
        request.network = try NetworkPolicy(.none, hostPorts: [80])
        #expect(throws: BerthError.self) { try request.check(against: capabilities) }
        request.network = .none
        request.limitsPolicy = .required
        try request.check(against: capabilities)
    }

    @Test(arguments: ["", "UPPER", "under_score", "a.b", String(repeating: "a", count: 64)])
    func `host names that could break a file of the inside are refused`(_ name: String) throws {
        var request = InstanceRequest(environmentID: try EnvironmentID("env_01jd0000000000000000000000"), label: "l")
        request.network = .none
        request.hostname = name
        #expect(throws: BerthError.self) { try request.check(against: host(.single).capabilities) }
    }

    @Test(arguments: ["..", "a/b", "", "a b"])
    func `an agent's name is one plain path component`(_ name: String) {
        #expect(throws: BerthError.self) { try AgentMount(name: name, directory: "/x").checkName() }
    }
}
