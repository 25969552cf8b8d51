import Base

@testable import EventLoop
@testable import Transport

/// What a client learns of where to connect to: names, addresses, URLs, redirects.
enum AddressFuzz {
    /// The first bytes choose the question, the rest is what a name server says.
    static func dns(_ bytes: [UInt8]) {
        guard bytes.count > 3, let name = DNSName("a.example") else { return }
        let type: DNSMessage.RecordType = bytes[0] & 1 == 0 ? .ipv4 : .ipv6
        let message = Array(bytes.dropFirst())
        let id = UInt16(message[0]) << 8 | UInt16(message[1])
        guard let answer = DNSMessage.answer(message, to: name, type, id: id) else { return }
        Fuzz.check(
            answer.addresses.allSatisfy { $0.count == (type == .ipv4 ? 4 : 16) } && answer.addresses.count <= 0xFFFF
                && (0...15).contains(answer.code),
            "\(answer)"
        )
        Fuzz.check(DNSMessage.answer(message, to: name, type, id: id ^ 1) == nil, "an answer to another question")
    }

    static func files(_ bytes: [UInt8]) {
        for address in HostsFile.addresses(of: "a", in: bytes) {
            Fuzz.check(!address.isEmpty, "an empty address")
        }
        let configuration = ResolverConfiguration(String(decoding: bytes, as: UTF8.self))
        Fuzz.check(
            (1...3).contains(configuration.servers.count) && configuration.search.count <= 6
                && (1...30).contains(configuration.timeout) && (1...5).contains(configuration.attempts),
            "\(configuration)"
        )
        for host in ["a", "a.b.c", "a.", String(repeating: "a", count: 63)] {
            for name in configuration.candidates(for: host) {
                let question = DNSMessage.question(name, .ipv6, id: 1)
                Fuzz.check(question.count <= 512, "a question of \(question.count) bytes")
            }
        }
    }

    static func url(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        _ = HTTPDate.seconds(text)
        _ = ProxyExceptions(text).contain(host: "a.example", port: 80)
        _ = ProxyExceptions("10.0.0.0/9,fd00::/7,.b:81").contain(host: text, port: 81)
        if let url = try? HTTPURL(text) {
            check(url)
            if case .tcp = url.endpoint.place {
                let again = try? HTTPURL(url.endpoint.description + url.target)
                Fuzz.check(again == url, "\(url)\nbecame \(String(describing: again))")
            }
        }
        guard let base = try? HTTPURL("http://a.example/b/c?d"), let url = base.resolving(text) else { return }
        check(url)
    }

    /// What goes into a request's head cannot break it apart.
    private static func check(_ url: HTTPURL) {
        Fuzz.check(
            url.target.hasPrefix("/") && url.target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
                && url.endpoint.authority.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F },
            "\(url)"
        )
    }
}
