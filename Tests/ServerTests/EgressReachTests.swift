import EventLoop
import Testing
import Transport

@testable import Server

@Suite struct EgressReachTests {
    private func allows(_ host: String, _ reach: EgressReach = EgressReach()) throws -> Bool {
        reach.allows(try #require(SocketAddress(numericHost: host, port: 443)))
    }

    @Test(arguments: [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0",
        "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2001:db8::1", "2002:7f00:1::", "2001::1",
    ])
    func `what is not the public internet is out of reach under any name`(host: String) throws {
        let isAllowed = try allows(host)
        #expect(!isAllowed)
    }

    @Test(arguments: ["1.1.1.1", "140.82.121.4", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"])
    func `the public internet is in reach`(host: String) throws {
        let isAllowed = try allows(host)
        #expect(isAllowed)
    }

    @Test func `what an administrator lets in is in reach, and nothing beside it`() throws {
        let range = try #require(AddressRange("10.1.2.0/24"))
        let reach = EgressReach(exceptions: [range])
        let inside = try allows("10.1.2.3", reach)
        let beside = try allows("10.1.3.3", reach)
        #expect(inside)
        #expect(!beside)
    }
}
