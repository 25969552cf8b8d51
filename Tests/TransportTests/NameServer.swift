import Base
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import EventLoop

/// A name server on loopback, by UDP and TCP, that answers as a test says.
final class NameServer: Sendable {
    struct Question: Sendable, Hashable {
        var name: String
        var type: DNSMessage.RecordType
        var isTCP: Bool
        var hasEDNS: Bool
    }

    /// What it says: nil is silence.
    enum Reply: Sendable {
        case addresses([String])
        case code(Int)
        case truncated
        case raw(@Sendable (_ id: [UInt8], _ question: [UInt8]) -> [[UInt8]])
    }

    typealias Script = @Sendable (Question, Int) -> Reply?

    let port: Int
    private let script: Script
    private let asked = Mutex<[Question]>([])
    private let udp: CInt
    private let tcp: CInt

    var questions: [Question] { asked.withLock { $0 } }

    init(_ script: @escaping Script) throws {
        self.script = script
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var (udp, tcp): (CInt, CInt) = (-1, -1)
        var bound = false
        // The same port has to be free for both.
        for _ in 0..<50 where !bound {
            udp = socket(AF_INET, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            tcp = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            address.sin_port = 0
            _ = Self.with(&address) { bind(udp, $0, $1) }
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &address) { pointer in
                _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(udp, $0, &length) }
            }
            bound = Self.with(&address) { bind(tcp, $0, $1) } == 0 && listen(tcp, 16) == 0
            if !bound {
                close(udp)
                close(tcp)
            }
        }
        guard bound else { throw SystemFailure("bind", errno) }
        self.udp = udp
        self.tcp = tcp
        port = Int(UInt16(bigEndian: address.sin_port))
        onThread { [weak self, udp] in Self.serveDatagrams(udp) { self?.reply(to: $0, isTCP: false) ?? [] } }
        onThread { [weak self, tcp] in Self.serveConnections(tcp) { self?.reply(to: $0, isTCP: true) ?? [] } }
    }

    func stop() {
        shutdown(udp, CInt(SHUT_RDWR))
        shutdown(tcp, CInt(SHUT_RDWR))
    }

    private static func with(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt
    {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func serveDatagrams(_ socket: CInt, _ reply: ([UInt8]) -> [[UInt8]]) {
        var buffer = [UInt8](repeating: 0, count: 2048)
        defer { close(socket) }
        while true {
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(socket, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 0 else { return }
            for message in reply(Array(buffer[..<count])) {
                withUnsafeMutablePointer(to: &peer) { pointer in
                    _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(socket, message, message.count, 0, $0, length)
                    }
                }
            }
        }
    }

    private static func serveConnections(_ listener: CInt, _ reply: ([UInt8]) -> [[UInt8]]) {
        defer { close(listener) }
        while true {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { return }
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = recv(peer, &buffer, buffer.count, 0)
            for message in count > 2 ? reply(Array(buffer[2..<count])) : [] {
                let framed = [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
                send(peer, framed, framed.count, CInt(MSG_NOSIGNAL))
            }
            close(peer)
        }
    }

    private func reply(to message: [UInt8], isTCP: Bool) -> [[UInt8]] {
        var labels: [String] = []
        var position = 12
        while position < message.count, message[position] > 0 {
            let end = position + 1 + Int(message[position])
            labels.append(String(decoding: message[(position + 1)..<end], as: UTF8.self))
            position = end
        }
        let rawType = UInt16(message[position + 1]) << 8 | UInt16(message[position + 2])
        guard let type = DNSMessage.RecordType(rawValue: rawType) else { return [] }
        let question = Question(
            name: labels.joined(separator: "."),
            type: type,
            isTCP: isTCP,
            hasEDNS: message[11] == 1
        )
        let count = asked.withLock { asked in
            asked.append(question)
            return asked.filter { $0 == question }.count
        }
        guard let reply = script(question, count) else { return [] }
        let echoed = Array(message[12..<(position + 5)])
        return encode(reply, id: Array(message[..<2]), question: echoed)
    }

    private func encode(_ reply: Reply, id: [UInt8], question: [UInt8]) -> [[UInt8]] {
        switch reply {
        case .raw(let make): return make(id, question)
        case .code(let code): return [id + [0x81, 0x80 | UInt8(code), 0, 1, 0, 0, 0, 0, 0, 0] + question]
        case .truncated: return [id + [0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0] + question]
        case .addresses(let texts):
            let isSix = question[question.count - 3] == 28
            let wanted = texts.compactMap { SocketAddress(numericHost: $0, port: 0) }
                .filter { ($0.family == .ipv6) == isSix }
            var bytes = id + [0x81, 0x80, 0, 1, 0, UInt8(wanted.count), 0, 0, 0, 0] + question
            for address in wanted {
                let raw = address.bytes
                bytes += [0xC0, 12, 0, isSix ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, UInt8(raw.count)] + raw
            }
            return [bytes]
        }
    }
}

/// A loop and a resolver that asks `script` and knows no hosts of its own, but those of `hosts`.
func withNameServer(
    configuration: String = "nameserver 127.0.0.1\noptions timeout:1 attempts:2",
    hosts: String = "",
    _ script: @escaping NameServer.Script,
    _ body: (Resolver, EventLoop) async throws -> Void
) async throws {
    try await withNameServer(configuration: configuration, hosts: hosts, script) { resolver, loop, _ in
        try await body(resolver, loop)
    }
}

func withNameServer(
    configuration: String = "nameserver 127.0.0.1\noptions timeout:1 attempts:2",
    hosts: String = "",
    _ script: @escaping NameServer.Script,
    asked body: (Resolver, EventLoop, NameServer) async throws -> Void
) async throws {
    let directory = try TemporaryDirectory("names")
    let server = try NameServer(script)
    defer { server.stop() }
    var resolver = Resolver()
    resolver.hostsFile = try directory.write(hosts, to: "hosts")
    resolver.configurationFile = try directory.write(configuration, to: "resolv.conf")
    resolver.port = server.port
    let fixed = resolver
    try await withLoop { loop in try await body(fixed, loop, server) }
}
