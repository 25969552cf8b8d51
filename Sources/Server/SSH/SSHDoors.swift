import Base
import EventLoop
import Glibc
import Relay

/// The loopback ports of SSH logins. Lives on one loop.
actor SSHDoors {
    static let host = "127.0.0.1"
    private static let ports = 2222...2321

    nonisolated let loop: EventLoop
    private let log: Log
    private var doors: [String: SSHDoor] = [:]
    private let arrivals: AsyncStream<Arrival>
    private let addArrival: AsyncStream<Arrival>.Continuation

    private struct Arrival: Sendable {
        var descriptor: Int32
        var token: String
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(loop: EventLoop, log: Log) {
        self.loop = loop
        self.log = log
        (arrivals, addArrival) = AsyncStream.makeStream()
    }

    /// Carries connections until its task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await arrival in arrivals { group.addTask { await self.carry(arrival) } }
        }
        for token in doors.keys.sorted() { close(token, "the server is stopping") }
    }

    /// - Parameters:
    ///   - lifetime: how long it stays open, unless it is ended.
    ///   - connect: makes the way for a connection.
    /// - Returns: its port, and what severs it, which lives as long as the door.
    func open(
        token: String,
        environment: String,
        for lifetime: Duration,
        connect: @escaping @Sendable () async throws -> SSHPassage
    ) throws(BerthError) -> (port: Int, handle: SSHDoorHandle) {
        for port in Self.ports {
            guard let address = SocketAddress(numericHost: Self.host, port: port) else { continue }
            let listener: ListeningSocket
            do throws(BerthError) {
                listener = try ListeningSocket(tcp: address, loop: loop) { [addArrival] descriptor, _ in
                    addArrival.yield(Arrival(descriptor: descriptor, token: token))
                }
            } catch {
                // Somebody else's.
                continue
            }
            let timer = LoopTimer(loop: loop) { [weak self] in self?.closeNow(token, "the login's time is up") }
            timer.set(after: lifetime)
            let handle = SSHDoorHandle(token: token, doors: self)
            doors[token] = SSHDoor(
                environment: environment,
                connect: connect,
                listener: listener,
                timer: timer,
                handle: handle
            )
            return (port, handle)
        }
        throw BerthError(
            .quotaExceeded,
            "the ports \(Self.ports.lowerBound) to \(Self.ports.upperBound) of the server are all taken",
            remedy: "end logins that are needed no more, or use 'berth ssh', which needs no port",
            isRetryable: true
        )
    }

    func end(token: String, environment: String) throws(BerthError) {
        guard doors[token]?.environment == environment else {
            throw BerthError(
                .notFound,
                "there is no such login",
                field: "token",
                remedy: "logins end by themselves when their time is up"
            )
        }
        close(token, "the login was ended")
    }

    /// On the loop.
    nonisolated func closeNow(_ token: String, _ reason: String) { assumeIsolated { $0.close(token, reason) } }

    private func close(_ token: String, _ reason: String) { doors.removeValue(forKey: token)?.close(reason) }

    private func carry(_ arrival: Arrival) async {
        let (descriptor, token) = (arrival.descriptor, arrival.token)
        var isOurs = true
        do {
            await tidy(token)
            guard let door = doors[token], door.passages.count < SSHDoor.maximumPassages else { throw Self.full }
            let passage = try await door.connect()
            // It may have been closed meanwhile.
            guard doors[token] != nil else { throw Self.full }
            doors[token]?.passages.append(passage)
            isOurs = false
            try await passage.link.loop.run {
                let socket: Socket
                do {
                    socket = try Socket(adopting: descriptor, loop: passage.link.loop)
                } catch {
                    Glibc.close(descriptor)
                    throw error
                }
                socket.setNoDelay()
                passage.channel.serve(socket)
            }
        } catch {
            if isOurs { Glibc.close(descriptor) }
            log.info("ssh connection not carried", ["error": "\(error)"])
        }
    }

    /// Forgets connections that are over.
    private func tidy(_ token: String) async {
        var over: [ObjectIdentifier] = []
        for passage in doors[token]?.passages ?? [] {
            let isOver = (try? await passage.link.loop.run { passage.channel.isOver }) ?? true
            if isOver { over.append(ObjectIdentifier(passage.channel)) }
        }
        doors[token]?.passages.removeAll { over.contains(ObjectIdentifier($0.channel)) }
    }

    private static var full: BerthError { BerthError(.quotaExceeded, "too many connections, or a closed door") }
}
