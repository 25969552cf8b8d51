import Base
import EventLoop
import OpenSSL

@testable import Transport

/// What a client reads of name servers, files and the answers of foreign servers.
enum ClientFuzz {
    /// An answer of a name server, and the files that say whom to ask.
    static func names(_ bytes: [UInt8]) {
        guard let name = DNSName("a.example") else { return Fuzz.check(false, "a name is none") }
        let type: DNSMessage.RecordType = (bytes.first ?? 0) & 1 == 0 ? .ipv4 : .ipv6
        let id = UInt16(0x1234)
        // As from the server: the question is right, so that what follows it is reached.
        let question = DNSMessage.question(name, type, id: id)
        let answer = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, UInt8(truncatingIfNeeded: bytes.count), 0, 0, 0, 0]
        for message in [bytes, answer + question[12..<(question.count - 11)] + bytes.dropFirst()] {
            guard let read = DNSMessage.answer(message, to: name, type, id: id) else { continue }
            let length = type == .ipv4 ? 4 : 16
            Fuzz.check(read.addresses.allSatisfy { $0.count == length }, "an address of another length")
        }
        let configuration = ResolverConfiguration(String(decoding: bytes, as: UTF8.self))
        Fuzz.check((1...3).contains(configuration.servers.count), "\(configuration.servers.count) servers")
        Fuzz.check(configuration.candidates(for: "db").contains { $0.description == "db" }, "a name was forgotten")
        _ = HostsFile.addresses(of: "a.example", in: bytes)
    }

    /// References of redirects, dates, pins and the exceptions of a proxy.
    static func texts(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        if let base = try? HTTPURL("https://a.example/b/c?d"), let url = base.resolving(text) {
            let isSendable = url.target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
            Fuzz.check(url.target.hasPrefix("/") && isSendable, "a target that cannot be sent: \(url.target)")
            Fuzz.check(!url.target.hasPrefix("/../"), "a target above the root: \(url.target)")
        }
        if let wait = HTTPRetryPlan.wait(text, now: Timestamp(milliseconds: 0)) {
            Fuzz.check(wait >= .zero, "a wait of \(wait)")
        }
        if let pin = try? KeyPin(text) {
            Fuzz.check((try? KeyPin(pin.description)) == pin, "a pin that is not read as it is written")
        }
        _ = ProxyExceptions(text).contain(host: "a.example", port: 80)
        Fuzz.check(ProxyExceptions(text).contain(host: "localhost", port: 80), "loopback by way of a proxy")
    }
}
