import API
import Base
import Client
import EventLoop
import Glibc
import Relay
import Transport

/// `berth forward`: ports of an environment on this machine's loopback.
enum ForwardCommand {
    static let command = Command(
        path: ["forward"],
        summary: "Reach ports inside an environment from this machine.",
        operands: [
            Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment"),
            Operand(name: "PORTS", count: .rest, about: "LOCALPORT:PORT, or PORT for the same on both sides"),
        ],
        examples: [
            Example(line: "berth forward build 8080:3000", about: "127.0.0.1:8080 is port 3000 of build"),
            Example(line: "berth forward build 5173 0:5432", about: "Two; the second on a free port, which is printed"),
        ],
        discussion: """
            Listens on 127.0.0.1 alone until Ctrl-C. Each connection goes through the server to the environment's own
            loopback, where the program must listen; a restart of the server cuts open connections and no new ones.
            """
    ) { arguments, terminal in
        let name = arguments.operands[0]
        let ports = try arguments.operands.dropFirst().map { text throws(BerthError) in try PortPair(text) }
        return try await ServerSession.with(arguments, terminal) { session in
            let environment: API.Environment = try await session.client.call(
                .environmentGet,
                path: ["environmentId": name]
            )
            return try await session.forward(environment, ports)
        }
    }
}

/// A port of this machine and one of the environment.
struct PortPair: Equatable {
    /// 0: a free one.
    var local: Int
    var remote: Int

    init(_ text: String) throws(BerthError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard (1...2).contains(parts.count), numbers.count == parts.count, let local = numbers.first,
            let remote = numbers.last, (0...65535).contains(local), (1...65535).contains(remote)
        else {
            throw BerthError(
                .usage,
                "'\(text.prefix(40))' is no pair of ports",
                field: "PORTS",
                remedy: "write LOCALPORT:PORT, such as 8080:3000"
            )
        }
        self.local = local
        self.remote = remote
    }
}

/// One line of `berth forward --json`.
private struct Forwarded: Encodable {
    var address: String
    var port: Int
}

extension ServerSession {
    /// Until Ctrl-C.
    /// - Parameter scheme: before the addresses that are told, where it is known what is served.
    func forward(_ environment: API.Environment, _ ports: [PortPair], scheme: String = "") async throws -> Int32 {
        let loop = terminal.loop
        let signals = try await SignalSource([SIGINT, SIGTERM], loop: loop)
        let (accepted, continuation) = AsyncStream.makeStream(of: (CInt, Int).self)
        var listeners: [ListeningSocket] = []
        defer { for listener in listeners { loop.execute { listener.close() } } }
        var forwarded: [Forwarded] = []
        for pair in ports {
            let listener: ListeningSocket
            do {
                listener = try await loop.run {
                    guard let address = SocketAddress(numericHost: "127.0.0.1", port: pair.local) else {
                        throw BerthError(.internal, "there is no loopback")
                    }
                    return try ListeningSocket(tcp: address, loop: loop) { descriptor, _ in
                        continuation.yield((descriptor, pair.remote))
                    }
                }
            } catch var error as BerthError where pair.local != 0 {
                error.field = "PORTS"
                error.remedy = "take another local port, such as 0:\(pair.remote) for a free one"
                throw error
            }
            listeners.append(listener)
            forwarded.append(Forwarded(address: scheme + listener.address.description, port: pair.remote))
        }
        try print(forwarded) {
            forwarded.map { "\($0.address) → \(environment.name):\($0.port)\n" }.joined()
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in signals { return } }
            group.addTask {
                await withDiscardingTaskGroup { tunnels in
                    for await (descriptor, port) in accepted {
                        tunnels.addTask { await tunnel(descriptor, environment, port) }
                    }
                }
            }
            await group.next()
            group.cancelAll()
        }
        return 0
    }

    /// One connection, to its end.
    private func tunnel(_ descriptor: CInt, _ environment: API.Environment, _ port: Int) async {
        let loop = terminal.loop
        guard let socket = try? await loop.run({ try Socket(adopting: descriptor, loop: loop) }) else { return }
        loop.execute { socket.setNoDelay() }
        do {
            let webSocket = try await client.tunnel(environment: environment.id, port: port)
            defer { webSocket.close() }
            guard case .closed(let code?, let reason) = try await SocketTunnel.run(socket, webSocket) else { return }
            if code != .normal, !reason.isEmpty { say("port \(port): \(reason)") }
        } catch {
            loop.execute { socket.reset() }
            guard !Task.isCancelled else { return }
            terminal.writeError(Program.text(BerthError(wrapping: error), style: terminal.errorStyle))
        }
    }
}
