import Base
import Glibc
import Testing
import Transport

@testable import EventLoop

@Suite struct HappyEyeballsTests {
    private func addresses(_ texts: String...) -> [SocketAddress] {
        texts.compactMap { SocketAddress(numericHost: $0, port: 1) }
    }

    @Test func `the families take turns, IPv6 first`() {
        let mixed = addresses("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2")
        #expect(
            HappyEyeballs.ordered(mixed).map(\.host)
                == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]
        )
    }

    @Test func `a failure brings the next at once, and the last failure ends it`() {
        let both = addresses("2001:db8::1", "192.0.2.1")
        var plan = HappyEyeballs(both)
        #expect(plan.next() == .begin(both[0]))
        #expect(plan.hasMore)
        #expect(plan.next() == .begin(both[1]))
        #expect(!plan.hasMore)
        #expect(plan.next() == .wait)
        #expect(plan.failed() == .wait)
        #expect(plan.failed() == .giveUp)
        var none = HappyEyeballs([])
        #expect(none.next() == .giveUp)
    }

    @Test func `an address that refuses costs no time`() async throws {
        try await withServer(handler: { _ in .text("here") }) { _, loop, address in
            let refusing = try #require(SocketAddress(numericHost: "127.0.0.2", port: 1))
            let began = loop.time.uptime
            let many = [SocketAddress](repeating: refusing, count: 40) + [address]
            let socket = try await Socket.connect(toFirstOf: many, loop: loop)
            // With a pause before each it would be ten seconds.
            #expect(loop.time.uptime - began < .seconds(8))
            try await loop.run { socket.close() }
            await #expect {
                _ = try await Socket.connect(toFirstOf: [refusing, refusing], loop: loop)
            } throws: {
                "\($0)".contains("127.0.0.2:1: connection refused; cannot connect to 127.0.0.2:1")
            }
        }
    }

    /// A listener whose queue is full answers nothing, like a machine behind a filter.
    @Test func `an address that is silent is passed over after a quarter of a second`() async throws {
        let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        defer { close(listener) }
        let place = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
        _ = place.withSockaddr { bind(listener, $0, $1) }
        listen(listener, 0)
        let silent = try #require(SocketAddress(localOf: listener))
        try await withServer(handler: { _ in .text("here") }) { _, loop, address in
            var fillers: [CInt] = []
            defer { for filler in fillers { close(filler) } }
            for _ in 0..<4 {
                let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
                let filler = socket(AF_INET, type, 0)
                _ = silent.withSockaddr { connect(filler, $0, $1) }
                fillers.append(filler)
            }
            let began = loop.time.uptime
            let socket = try await Socket.connect(toFirstOf: [silent, address], loop: loop)
            let took = loop.time.uptime - began
            #expect(took >= HappyEyeballs.pause && took < .seconds(5))
            try await loop.run { socket.close() }
            let deadline = loop.time.uptime + .milliseconds(100)
            await #expect {
                _ = try await Socket.connect(toFirstOf: [silent], loop: loop, until: deadline)
            } throws: {
                ($0 as? BerthError)?.code == .timedOut
            }
        }
    }
}
