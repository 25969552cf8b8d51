public import Base
internal import FoundationEssentials

/// Looks up host names by the system's own files and name servers. The C library's resolver is not used: in a static
/// program it loads what the host's nsswitch.conf names from the host's libraries, which must be the same build
/// (Docs/decisions/0017).
public struct Resolver: Sendable {
    public var hostsFile = "/etc/hosts"
    public var configurationFile = "/etc/resolv.conf"
    /// Where name servers listen.
    public var port = 53
    public var randomness: any Randomness = SystemRandomness()

    public init() {}

    /// How long an answer of IPv4 addresses waits for those of IPv6 (RFC 8305, section 3).
    static let resolutionDelay = Duration.milliseconds(50)
}

extension EventLoop {
    /// The stream addresses of `host`, those of IPv6 first; a numeric host needs no lookup. Nothing of it blocks the
    /// loop. Throws `network` when the name is unknown (not retryable) or no name server answers (retryable).
    public func lookUp(
        host: String,
        port: Int,
        until deadline: Uptime? = nil,
        resolver: Resolver = Resolver()
    ) async throws -> [SocketAddress] {
        if let numeric = SocketAddress(numericHost: host, port: port) { return [numeric] }
        guard (0...65535).contains(port) else { throw BerthError(.invalidValue, "\(port) is not a port") }
        let lookup = NameLookup(loop: self, resolver: resolver, host: host, deadline: deadline)
        return try await lookup.addresses().compactMap { SocketAddress(numericHost: $0, port: port) }
    }
}

/// One name on its way to its addresses.
struct NameLookup: Sendable {
    let loop: EventLoop
    let resolver: Resolver
    let host: String
    let deadline: Uptime?

    /// Numeric, IPv6 first.
    func addresses() async throws -> [String] {
        guard let name = DNSName(host) else {
            throw BerthError(.invalidValue, "'\(host.prefix(300))' is not a host name")
        }
        let (known, configuration) = try await files(name.description)
        if !known.isEmpty { return known }
        // Never asked of a server (RFC 6761, section 6.3).
        if name.labels.last == Array("localhost".utf8) { return ["::1", "127.0.0.1"] }
        var lastFailure: BerthError?
        for candidate in configuration.candidates(for: host) {
            do {
                let found = try await both(candidate, configuration)
                if !found.isEmpty { return found }
            } catch let error as BerthError where error.code == .network || error.code == .timedOut {
                lastFailure = error
            }
        }
        if let lastFailure {
            throw BerthError(
                lastFailure.code,
                "cannot look up the host '\(host)': \(lastFailure.message)",
                remedy: "check this machine's name servers (\(resolver.configurationFile))",
                // Silence has already been waited for more than once.
                isRetryable: lastFailure.code != .timedOut
            )
        }
        throw BerthError(.network, "cannot look up the host '\(host)': there is no such name")
    }

    /// Read off the loop: a hosts file may have a hundred thousand lines.
    private func files(_ name: String) async throws -> (known: [String], ResolverConfiguration) {
        let resolver = resolver
        return try await loop.blocking {
            let hosts = (try? Data(contentsOf: URL(filePath: resolver.hostsFile))).map { Array($0) } ?? []
            let known = HostsFile.addresses(of: name, in: hosts)
                .filter { SocketAddress(numericHost: $0, port: 0) != nil }
            let text = (try? Data(contentsOf: URL(filePath: resolver.configurationFile))).map { Array($0) } ?? []
            return (
                known.filter { $0.contains(":") } + known.filter { !$0.contains(":") },
                ResolverConfiguration(String(decoding: text, as: UTF8.self))
            )
        }
    }

    private enum Part: Sendable {
        case answer(DNSMessage.RecordType, Result<[String], BerthError>)
        case waitedEnough
    }

    /// Asks for both kinds at once. Throws only when neither kind has an answer.
    private func both(_ name: DNSName, _ configuration: ResolverConfiguration) async throws -> [String] {
        try await withThrowingTaskGroup(of: Part.self) { group in
            for type in [DNSMessage.RecordType.ipv6, .ipv4] {
                group.addTask {
                    do {
                        return .answer(type, .success(try await ask(name, type, configuration)))
                    } catch let error as BerthError {
                        return .answer(type, .failure(error))
                    }
                }
            }
            defer { group.cancelAll() }
            var found: [DNSMessage.RecordType: Result<[String], BerthError>] = [:]
            while found.count < 2, let part = try await group.next() {
                guard case .answer(let type, let result) = part else { break }
                found[type] = result
                if type == .ipv4, case .success(let addresses) = result, !addresses.isEmpty {
                    group.addTask {
                        try await loop.time.wait(for: Resolver.resolutionDelay)
                        return .waitedEnough
                    }
                }
            }
            let six = found[.ipv6]
            let four = found[.ipv4]
            let all = ((try? six?.get()) ?? []) + ((try? four?.get()) ?? [])
            if all.isEmpty, case .failure(let error) = four ?? six { throw error }
            return all
        }
    }

    /// One kind of address: each server in turn, the whole round again as often as is configured. Empty: none.
    private func ask(_ name: DNSName, _ type: DNSMessage.RecordType, _ configuration: ResolverConfiguration)
        async throws -> [String]
    {
        var failure = BerthError(.network, "no name server is configured")
        let limit = deadline ?? Uptime(nanoseconds: UInt64(Int64.max))
        for _ in 0..<configuration.attempts {
            for server in configuration.servers {
                guard let address = SocketAddress(numericHost: server, port: resolver.port) else {
                    failure = BerthError(.network, "the name server '\(server)' is not an address")
                    continue
                }
                do {
                    let until = min(limit, loop.time.uptime + .seconds(configuration.timeout))
                    var question = Question(name: name, type: type, usesTCP: configuration.usesTCP)
                    var answer = try await exchange(question, address, until: until)
                    if answer.code == 1 {
                        // A server from before EDNS calls the question malformed (RFC 6891, section 7).
                        question.hasEDNS = false
                        answer = try await exchange(question, address, until: until)
                    }
                    // 0 is an answer, 3 says that there is no such name.
                    if answer.code == 0 || answer.code == 3 { return answer.addresses.compactMap(Self.text) }
                    failure = BerthError(.network, "the name server \(server) answered with code \(answer.code)")
                } catch let error as BerthError {
                    failure = error
                    guard loop.time.uptime < limit else { throw error }
                }
            }
        }
        throw failure
    }

    private struct Question: Sendable {
        let name: DNSName
        let type: DNSMessage.RecordType
        let usesTCP: Bool
        var hasEDNS = true
    }

    private func exchange(
        _ question: Question,
        _ server: SocketAddress,
        until deadline: Uptime
    ) async throws -> DNSMessage.Answer {
        let (name, type) = (question.name, question.type)
        let id = UInt16(truncatingIfNeeded: resolver.randomness.next())
        let message = DNSMessage.question(name, type, id: id, hasEDNS: question.hasEDNS)
        if !question.usesTCP {
            let bytes = try await DNSDatagram.ask(message, server, loop: loop, until: deadline) {
                DNSMessage.answer($0, to: name, type, id: id) != nil
            }
            if let answer = DNSMessage.answer(bytes, to: name, type, id: id), !answer.isTruncated { return answer }
        }
        let bytes = try await DNSStream.ask(message, server, loop: loop, until: deadline)
        guard let answer = DNSMessage.answer(bytes, to: name, type, id: id) else {
            throw BerthError(.network, "the name server \(server.host) answered with something else")
        }
        return answer
    }

    private static func text(_ address: [UInt8]) -> String? {
        SocketAddress(
            storage: .ip(bytes: address, family: address.count == 4 ? .ipv4 : .ipv6, port: 0, scope: 0)
        ).host
    }
}
