import API
import Accounts
public import Base
import Database
import Domain
public import EventLoop
import Glibc
import Transport

/// The server as a whole: opens what it needs, listens, runs until told to stop, and closes in the reverse order.
public enum BerthServer {
    /// Runs until SIGTERM or SIGINT, or SIGHUP where it was started from a terminal: elsewhere that has the certificate
    /// read again. A second signal cuts the draining short.
    /// - Parameter announce: told the address once requests are taken.
    public static func main(
        configuration: Configuration,
        loop: EventLoop,
        announce: @escaping @Sendable (ServerAddress) -> Void
    ) async throws {
        let log = Log(sink: LoopLogSink(), time: loop.time, level: configuration.logLevel)
        let signals = try await SignalSource([SIGTERM, SIGINT, SIGHUP], loop: loop)
        let hasTerminal = isatty(STDIN_FILENO) == 1
        let count = configuration.loops == 0 ? defaultLoops : configuration.loops
        let further = try (1..<max(2, count)).prefix(count - 1).map { try EventLoop(name: "loop-\($0)") }
        for loop in further { loop.start() }
        defer { for loop in further { loop.stop() } }
        try await run(configuration, loops: [loop] + further, log: log) {
            for await signal in signals where signal != SIGHUP || hasTerminal {
                log.info("stopping", ["signal": signal])
                return
            }
        } ready: { address in
            announce(address)
        }
    }

    private static var defaultLoops: Int { min(4, max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))) }

    /// - Parameters:
    ///   - stop: returns when the server is to stop; environments and runs go on without it.
    ///   - ready: told the address once requests are taken.
    public static func run(
        _ configuration: Configuration,
        loops: [EventLoop],
        log: Log,
        until stop: @escaping @Sendable () async -> Void,
        ready: @escaping @Sendable (ServerAddress) async -> Void
    ) async throws {
        let time = loops[0].time
        let began = time.uptime
        let directory = DataDirectory(path: configuration.dataDirectory)
        try directory.prepare()
        let lock = try await directory.lock(time: time)
        let made = try await unlessStopped(stop) {
            try await Composition.make(configuration, directory, loops: loops, time: time, log: log)
        }
        guard let composition = made else { return log.info("stopped before it was ready", [:]) }
        let address = try await composition.listen()
        try address.note(in: directory)
        log.info("ready", ["url": address.url, "took_ms": (time.uptime - began).wholeMilliseconds])
        try await withThrowingTaskGroup(of: Void.self) { group in
            composition.addServices(to: &group, at: address)
            group.addTask {
                await ready(address)
                await stop()
                throw Stopped()
            }
            do {
                // Services end only by failing or by being cancelled.
                while try await group.next() != nil {}
            } catch is Stopped {}
            directory.remove("server.json")
            await composition.drain(atMost: configuration.drain)
            group.cancelAll()
        }
        await composition.close()
        log.info("stopped", [:])
        _ = consume lock
    }

    /// The start may wait, for a database that is away. nil: it was told to stop first.
    private static func unlessStopped<Value: Sendable>(
        _ stop: @escaping @Sendable () async -> Void,
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                await stop()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    private struct Stopped: Error {}
}
