import Base
import EventLoop
import TestSupport
import Testing

@testable import Transport

@Suite struct ClientLimitTests {
    @Test func `one client's connections are limited without a word for others`() async throws {
        let log = LogLines()
        let configuration = DeadlineTests.short { $0.maximumConnectionsFromLoopback = 2 }
        try await withServer(configuration: configuration, log: log, handler: HTTPServerTests.echo) {
            server,
            loop,
            address in
            var held: [RawSocket] = []
            for _ in 0..<2 {
                let peer = try await RawSocket.connect(address, on: loop)
                try await peer.send(HostileClientTests.get)
                #expect(try await peer.read(until: "GET").hasPrefix("HTTP/1.1 200 "))
                held.append(peer)
            }
            let third = try await RawSocket.connect(address, on: loop)
            #expect(try await third.readAll().hasPrefix("HTTP/1.1 429 "))
            #expect(server.count(of: .manyFromAddress) == 1)
            #expect(log.containing("many_from_address").count == 1)
            await third.close()
            await held.removeLast().close()
            #expect(
                try await eventually(loop) {
                    let peer = try await RawSocket.connect(address, on: loop)
                    // Refused ones say so before they are asked; sending to them may fail.
                    try? await peer.send(HostileClientTests.get)
                    return try await peer.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 ")
                }
            )
        }
    }

    @Test func `a flood beyond the limit is dropped without an answer`() {
        let counts = ConnectionCounts()
        let group = SocketAddress(numericHost: "192.0.2.1", port: 1).flatMap { ClientGroup($0) }
        let other = SocketAddress(numericHost: "192.0.2.2", port: 1).flatMap { ClientGroup($0) }
        let admissions = (0..<100).map { _ in counts.admit(group, limit: 1000, groupLimit: 4) }
        #expect(admissions[..<4].allSatisfy { $0 == .welcome })
        #expect(admissions[4..<13].allSatisfy { $0 == .refused(status: 429, fault: .manyFromAddress) })
        #expect(admissions[13...].allSatisfy { $0 == .dropped(fault: .manyFromAddress) })
        #expect(counts.count == 13)
        #expect(counts.admit(other, limit: 1000, groupLimit: 4) == .welcome)
        #expect(counts.admit(nil, limit: 14, groupLimit: 4) == .refused(status: 503, fault: .manyConnections))
        for _ in 0..<10 { counts.leave(group) }
        #expect(counts.admit(group, limit: 1000, groupLimit: 4) == .welcome)
    }

    @Test func `an IPv6 network of one host counts as one client, a mapped address as its IPv4 one`() throws {
        func group(_ host: String) throws -> ClientGroup? {
            ClientGroup(try #require(SocketAddress(numericHost: host, port: 7)))
        }
        #expect(try group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9"))
        #expect(try group("2001:db8:1:2::1") != group("2001:db8:1:3::1"))
        #expect(try group("::ffff:192.0.2.1") == group("192.0.2.1"))
        #expect(try group("192.0.2.1") != group("192.0.2.2"))
        #expect(try group("::ffff:127.0.0.1")?.isLoopback == true && group("::1")?.isLoopback == true)
        #expect(ClientGroup(try SocketAddress.unix("/x")) == nil)
    }

    @Test func `lines about one fault come at a bounded rate and say what they left out`() {
        var rate = LogRate()
        var now = Uptime(nanoseconds: 5_000_000_000_000)
        #expect((0..<100).compactMap { _ in rate.admit(at: now) } == [0, 0, 0, 0, 0])
        now = now + .seconds(9)
        #expect(rate.admit(at: now) == nil)
        now = now + .seconds(1)
        #expect(rate.admit(at: now) == 96)
        #expect(rate.admit(at: now) == nil)
        now = now + .seconds(1000)
        #expect((0..<7).compactMap { _ in rate.admit(at: now) } == [1, 0, 0, 0, 0])
        #expect(rate.takeUnlogged() == 2)
    }

    // MARK: Behind a proxy

    @Test(
        arguments: [
            (["x-forwarded-for": "203.0.113.9"], "203.0.113.9", nil),
            (["x-forwarded-for": "203.0.113.9, 10.1.2.3", "x-forwarded-proto": "https"], "203.0.113.9", true),
            // Whatever the client itself wrote stands left of what the proxy added.
            (["x-forwarded-for": "1.1.1.1, 203.0.113.9"], "203.0.113.9", nil),
            (
                ["x-forwarded-for": "1.1.1.1, 203.0.113.9, 10.0.0.1", "x-forwarded-proto": "https, http, http"],
                "203.0.113.9", false
            ),
            (["x-forwarded-for": "[2001:db8::5]:4711"], "2001:db8::5", nil),
            (["x-forwarded-for": "203.0.113.9:80"], "203.0.113.9", nil),
            (["x-forwarded-for": "nonsense"], nil, nil),
            // What a client writes cannot swallow what the proxy appends.
            (["x-forwarded-for": "\", 203.0.113.9"], "203.0.113.9", nil),
            (["x-forwarded-for": "\u{0600}, 203.0.113.9"], "203.0.113.9", nil),
            (["x-forwarded-for": "203.0.113.9, nonsense"], nil, nil),
            (["forwarded": "for=203.0.113.9"], nil, nil),
        ] as [([String: String], String?, Bool?)]
    )
    func `a trusted proxy names the last address that it can vouch for`(
        fields: [String: String],
        address: String?,
        isSecure: Bool?
    ) {
        let headers = HTTPHeaders(fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        let client = ForwardedClient(headers, field: .xForwardedFor, isTrusted: Self.isInside)
        #expect(client?.address.host == address && client?.isSecure == isSecure)
    }

    @Test(
        arguments: [
            (["for=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9", true),
            (["for=1.1.1.1", "For=\"[2001:db8::5]:4711\" ; Proto=HTTP"], "2001:db8::5", false),
            (["for=\"1.1.1.1, for=2.2.2.2\", for=203.0.113.9"], "203.0.113.9", nil),
            (["for=203.0.113.9, for=10.0.0.9;proto=https"], "203.0.113.9", true),
            (["for=unknown"], nil, nil),
            (["for=_hidden, for=10.0.0.9"], "10.0.0.9", nil),
            (["for"], nil, nil),
        ] as [([String], String?, Bool?)]
    )
    func `the standard field says the same`(values: [String], address: String?, isSecure: Bool?) {
        let headers = HTTPHeaders(values.map { ("forwarded", $0) } + [("x-forwarded-for", "9.9.9.9")])
        let client = ForwardedClient(headers, field: .forwarded, isTrusted: Self.isInside)
        #expect(client?.address.host == address && client?.isSecure == isSecure)
    }

    static let isInside: @Sendable (SocketAddress) -> Bool = { address in
        AddressRange("10.0.0.0/8")?.contains(address) == true
    }

    @Test func `ranges of addresses hold what their prefix says`() throws {
        func contains(_ range: String, _ host: String) throws -> Bool {
            try #require(AddressRange(range)).contains(try #require(SocketAddress(numericHost: host, port: 1)))
        }
        #expect(try contains("10.0.0.0/8", "10.255.1.2") && !contains("10.0.0.0/8", "11.0.0.0"))
        #expect(try contains("192.0.2.128/25", "192.0.2.200") && !contains("192.0.2.128/25", "192.0.2.100"))
        #expect(try contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"))
        #expect(try contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"))
        #expect(try contains("127.0.0.1", "::ffff:127.0.0.1"))
        #expect(try contains("2001:db8::/33", "2001:db8:7fff::1") && !contains("2001:db8::/33", "2001:db8:8000::1"))
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/+8", "host/8", "10.0.0/8"] {
            #expect(AddressRange(wrong) == nil, "\(wrong)")
        }
    }

    @Test func `only a trusted proxy is believed, and its clients are counted one by one`() async throws {
        let (gate, opening) = AsyncStream.makeStream(of: Void.self)
        let handler: HTTPHandler = { request in
            if request.path == "/wait" { for await _ in gate { break } }
            guard case .tcp(let address) = request.peer else { return .text("unix") }
            return .text("\(address.host) \(request.isSecure).")
        }
        func ask(_ peer: RawSocket, _ path: String, _ client: String) async throws {
            try await peer.send(
                "GET \(path) HTTP/1.1\r\nhost: x\r\nx-forwarded-for: \(client)\r\nx-forwarded-proto: https\r\n\r\n"
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawSocket.connect(address, on: loop)
            try await ask(peer, "/", "203.0.113.9")
            #expect(try await peer.read(until: "false.").contains("127.0.0.1 false."))
        }
        let configuration = DeadlineTests.short {
            $0.trustedProxies = [AddressRange("127.0.0.0/8")].compactMap { $0 }
            $0.maximumConnectionsPerClient = 1
            $0.maximumConnectionsFromLoopback = 1
        }
        try await withServer(configuration: configuration, handler: handler) { server, loop, address in
            let one = try await RawSocket.connect(address, on: loop)
            try await ask(one, "/wait", "203.0.113.9")
            let two = try await RawSocket.connect(address, on: loop)
            try await ask(two, "/", "203.0.113.10")
            #expect(try await two.read(until: "true.").hasSuffix("203.0.113.10 true."))
            #expect(try await eventually(loop) { server.connectionCount == 2 })
            let three = try await RawSocket.connect(address, on: loop)
            try await ask(three, "/", "203.0.113.9")
            #expect(try await three.readAll().hasPrefix("HTTP/1.1 429 "))
            opening.yield()
            #expect(try await one.read(until: "true.").hasSuffix("203.0.113.9 true."))
            try await ask(two, "/", "203.0.113.9")
            #expect(try await two.read(until: "true.").hasSuffix("203.0.113.9 true."))
        }
    }
}
