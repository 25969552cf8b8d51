import Base
import Synchronization
import Testing

@testable import EventLoop

@Suite struct ResolverTests {
    private func hosts(_ loop: EventLoop, _ resolver: Resolver, _ name: String) async throws -> [String] {
        try await loop.lookUp(host: name, port: 80, resolver: resolver).map(\.host)
    }

    private func expect(
        _ expected: [String],
        of name: String,
        _ loop: EventLoop,
        _ resolver: Resolver,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await hosts(loop, resolver, name)
        #expect(found == expected, sourceLocation: sourceLocation)
    }

    @Test func `both kinds of address are found, IPv6 first`() async throws {
        try await withNameServer { _, _ in
            .addresses(["192.0.2.1", "192.0.2.2", "2001:db8::1"])
        } asked: { resolver, loop, server in
            let found = try await loop.lookUp(host: "Example.COM.", port: 8443, resolver: resolver)
            #expect(found.map(\.description) == ["[2001:db8::1]:8443", "192.0.2.1:8443", "192.0.2.2:8443"])
            #expect(Set(server.questions.map(\.name)) == ["example.com"])
            try await expect(["10.0.0.1"], of: "10.0.0.1", loop, resolver)
            #expect(server.questions.count == 2)
        }
    }

    @Test func `the hosts file comes first, and localhost is never asked for`() async throws {
        let file = """
            # comment
            192.0.2.7   db db.example # other
            2001:db8::7\tdb
            bad-address db
            192.0.2.7   DB
            """
        try await withNameServer(hosts: file) { _, _ in
            .addresses(["192.0.2.99"])
        } asked: { resolver, loop, server in
            try await expect(["2001:db8::7", "192.0.2.7"], of: "dB", loop, resolver)
            try await expect(["192.0.2.7"], of: "db.example.", loop, resolver)
            try await expect(["::1", "127.0.0.1"], of: "localhost", loop, resolver)
            try await expect(["::1", "127.0.0.1"], of: "any.localhost", loop, resolver)
            #expect(server.questions.isEmpty)
            try await expect(["192.0.2.99"], of: "other", loop, resolver)
        }
    }

    @Test func `an unknown name is an error that a second try would not change`() async throws {
        try await withNameServer { question, _ in
            question.name == "empty.example" ? .addresses([]) : .code(3)
        } _: { resolver, loop in
            for name in ["missing.example", "empty.example"] {
                await #expect {
                    _ = try await hosts(loop, resolver, name)
                } throws: { error in
                    let known = error as? BerthError
                    return known?.message == "cannot look up the host '\(name)': there is no such name"
                        && known?.isRetryable == false
                }
            }
            for name in ["", "a..b", String(repeating: "x", count: 64), String(repeating: "x.", count: 130)] {
                await #expect(throws: BerthError.self, "\(name)") { try await hosts(loop, resolver, name) }
            }
        }
    }

    @Test func `short names are tried in the search domains, long ones as they are first`() async throws {
        let configuration = "nameserver 127.0.0.1\nsearch one.example two.example\noptions ndots:2"
        try await withNameServer(configuration: configuration) { question, _ in
            ["db.two.example", "a.b.c"].contains(question.name) ? .addresses(["192.0.2.1"]) : .code(3)
        } asked: { resolver, loop, server in
            try await expect(["192.0.2.1"], of: "db", loop, resolver)
            #expect(Set(server.questions.map(\.name)) == ["db.one.example", "db.two.example"])
            try await expect(["192.0.2.1"], of: "a.b.c", loop, resolver)
            #expect(server.questions.count == 6)
            await #expect(throws: BerthError.self) { try await hosts(loop, resolver, "db.") }
            #expect(server.questions.last?.name == "db")
        }
    }

    @Test func `a lost question is asked again, and a failing server's neighbour is asked`() async throws {
        try await withNameServer { question, count in
            count == 1 ? nil : .addresses(["192.0.2.1"])
        } _: { resolver, loop in
            try await expect(["192.0.2.1"], of: "lossy.example", loop, resolver)
        }
        let two = "nameserver 127.0.0.1\nnameserver 127.0.0.1\noptions attempts:1"
        try await withNameServer(configuration: two) { _, count in
            count == 1 ? .code(2) : .addresses(["192.0.2.2"])
        } _: { resolver, loop in
            try await expect(["192.0.2.2"], of: "sick.example", loop, resolver)
        }
        try await withNameServer(configuration: two) { _, _ in
            .code(2)
        } _: { resolver, loop in
            await #expect {
                _ = try await hosts(loop, resolver, "dead.example")
            } throws: {
                "\($0)".contains("answered with code 2") && ($0 as? BerthError)?.isRetryable == true
            }
        }
    }

    @Test func `an answer that does not fit is fetched by TCP`() async throws {
        let many = (1...120).map { "192.0.2.\($0)" }
        try await withNameServer { question, _ in
            question.isTCP ? .addresses(many) : .truncated
        } asked: { resolver, loop, server in
            try await expect(many, of: "large.example", loop, resolver)
            #expect(server.questions.contains { $0.isTCP })
        }
        try await withNameServer(configuration: "nameserver 127.0.0.1\noptions use-vc") { _, _ in
            .addresses(["192.0.2.1"])
        } asked: { resolver, loop, server in
            try await expect(["192.0.2.1"], of: "vc.example", loop, resolver)
            #expect(!server.questions.contains { !$0.isTCP })
        }
    }

    @Test func `a server from before EDNS is asked without it`() async throws {
        try await withNameServer { question, _ in
            question.hasEDNS ? .code(1) : .addresses(["192.0.2.1"])
        } _: { resolver, loop in
            try await expect(["192.0.2.1"], of: "old.example", loop, resolver)
        }
    }

    @Test func `answers to other questions are not believed`() async throws {
        let good: @Sendable ([UInt8], [UInt8], UInt8) -> [UInt8] = { id, question, last in
            id + [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0] + question
                + [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]
        }
        try await withNameServer { question, _ in
            guard question.type == .ipv4 else { return .addresses([]) }
            return .raw { id, question in
                var other = question
                other[1] ^= 1
                return [
                    [], [1, 2, 3], good([id[0] ^ 1, id[1]], question, 66), good(id, other, 67),
                    Array(good(id, question, 68).dropLast(2)), good(id, question, 1),
                ]
            }
        } _: { resolver, loop in
            try await expect(["192.0.2.1"], of: "true.example", loop, resolver)
        }
    }

    @Test func `aliases are followed, and what belongs to another name is left out`() async throws {
        try await withNameServer { question, _ in
            guard question.type == .ipv4 else { return .addresses([]) }
            return .raw { id, question in
                let alias = [3] + Array("far".utf8) + [4] + Array("away".utf8) + [0]
                let other = [5] + Array("other".utf8) + [0]
                var bytes = id + [0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0] + question
                bytes += [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, UInt8(alias.count)] + alias
                bytes += other + [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66]
                bytes += alias + [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 5]
                return [bytes]
            }
        } _: { resolver, loop in
            try await expect(["192.0.2.5"], of: "alias.example", loop, resolver)
        }
    }

    @Test func `a slow answer of IPv6 does not hold up that of IPv4`() async throws {
        let patient = "nameserver 127.0.0.1\noptions timeout:20"
        try await withNameServer(configuration: patient) { question, _ in
            question.type == .ipv4 ? .addresses(["192.0.2.1"]) : nil
        } _: { resolver, loop in
            let began = loop.time.uptime
            try await expect(["192.0.2.1"], of: "half.example", loop, resolver)
            #expect(loop.time.uptime - began < .seconds(10))
        }
        // That of IPv4 comes only with the second question, a second later.
        try await withNameServer { question, count in
            question.type == .ipv6 || count > 1 ? .addresses(["2001:db8::1", "192.0.2.1"]) : nil
        } _: { resolver, loop in
            try await expect(["2001:db8::1", "192.0.2.1"], of: "six.example", loop, resolver)
        }
    }

    @Test func `no server that answers is an error in time, and the loop goes on meanwhile`() async throws {
        try await withNameServer { _, _ in
            nil
        } _: { resolver, loop in
            let turns = Mutex(0)
            let ticking = loop.spawn {
                while (try? await loop.time.wait(for: .milliseconds(5))) != nil { turns.withLock { $0 += 1 } }
            }
            let deadline = loop.time.uptime + .milliseconds(300)
            await #expect {
                _ = try await loop.lookUp(host: "silent.example", port: 1, until: deadline, resolver: resolver)
            } throws: {
                ($0 as? BerthError)?.code == .timedOut && "\($0)".contains("the name server 127.0.0.1 took too long")
            }
            ticking.cancel()
            #expect(turns.withLock { $0 } > 2)
        }
    }

    @Test func `configuration is read as resolv.conf says`() {
        let text = """
            ; comment
            domain first.example
            nameserver 192.0.2.1 # inline
            nameserver 2001:db8::1
            search  one.example\ttwo.example  ..bad
            nameserver 192.0.2.3
            nameserver 192.0.2.4
            options ndots:3 timeout:99 attempts:0 rotate use-vc ndots:x
            unknown words
            """
        let configuration = ResolverConfiguration(text)
        #expect(configuration.servers == ["192.0.2.1", "2001:db8::1", "192.0.2.3"])
        #expect(configuration.search.map(\.description) == ["one.example", "two.example"])
        #expect(configuration.dots == 3)
        #expect(configuration.timeout == 30)
        #expect(configuration.attempts == 1)
        #expect(configuration.usesTCP)
        #expect(ResolverConfiguration("").servers == ["127.0.0.1"])
        #expect(
            configuration.candidates(for: "a.b").map(\.description) == ["a.b.one.example", "a.b.two.example", "a.b"]
        )
    }

    @Test func `no bytes break the reader of answers`() throws {
        let name = try #require(DNSName("a.example"))
        let question = DNSMessage.question(name, .ipv4, id: 7)
        let body = Array(question[12..<(question.count - 11)])
        let answer =
            [0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0] + body
            + [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, 0x62, 0xC0, 14]
            + [0xC0, 39, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]
        #expect(DNSMessage.answer(answer, to: name, .ipv4, id: 7)?.addresses == [[192, 0, 2, 1]])
        let randomness = SeededRandomness(seed: 53)
        for count in 0..<answer.count { _ = DNSMessage.answer(Array(answer[..<count]), to: name, .ipv4, id: 7) }
        for _ in 0..<100_000 {
            var bytes = answer
            for _ in 0...Int(randomness.next() % 4) {
                bytes[Int(randomness.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: randomness.next())
            }
            if let read = DNSMessage.answer(bytes, to: name, .ipv4, id: 7) {
                #expect(read.addresses.allSatisfy { $0.count == 4 })
            }
        }
    }
}
