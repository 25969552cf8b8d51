import Base
import Domain
import Testing

@Suite struct NetworkRuleTests {
    @Test(arguments: ["github.com:443", "*.npmjs.org:443", "a-b.c_d.example:8080", "registry:5000"])
    func `a name with a port is a rule and reads back as it was`(text: String) throws {
        #expect(try NetworkRule(text).description == text)
    }

    @Test(arguments: [
        "", "github.com", "github.com:0", "github.com:65536", "10.0.0.1:80", "[::1]:80", "*:443", "*.*.com:443",
        "a..b:1",
        "-a.com:1", "a.com.:1", "exa mple.com:1", "https://a.com:443", "a.com:443:1", "münchen.de:443", "a.com:-1",
    ])
    func `anything else is refused with its field`(text: String) {
        let error = #expect(throws: BerthError.self) { try NetworkRule(text) }
        #expect(error?.field == "network.allow")
    }

    @Test func `a rule for what is below a name does not stand for the name, nor for one that ends alike`() throws {
        let policy = try NetworkPolicy(
            .allow,
            allow: [NetworkRule("*.example.com:443"), NetworkRule("Example.org:22")]
        )
        #expect(policy.permits("a.example.com", port: 443))
        #expect(policy.permits("a.b.example.com", port: 443))
        #expect(!policy.permits("example.com", port: 443))
        #expect(!policy.permits("notexample.com", port: 443))
        #expect(!policy.permits("a.example.com", port: 80))
        #expect(policy.permits("example.org", port: 22))
    }

    @Test func `only an allow-list has names, and its provider gives it no network`() throws {
        let rule = try NetworkRule("a.com:1")
        #expect(throws: BerthError.self) { try NetworkPolicy(.open, allow: [rule]) }
        #expect(throws: BerthError.self) { try NetworkPolicy(.none, allow: [rule]) }
        let policy = try NetworkPolicy(.allow, hostPorts: [80], allow: [rule])
        let provided = try NetworkPolicy(.none, hostPorts: [80])
        #expect(policy.provided == provided)
        #expect(NetworkPolicy.open.provided == NetworkPolicy.open)
    }
}
