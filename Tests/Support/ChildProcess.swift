public import Glibc
import Synchronization

/// Held while descriptors exist that a spawn at the same moment must not inherit.
private let spawning = Mutex(())

/// A program that a test started: its output is collected as it comes, and whoever waits for a line is woken by it.
/// Ends with the test: `deinit` kills what still runs.
public final class ChildProcess: Sendable {
    public enum Stream: Sendable { case stdout, stderr }

    private struct State {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var openStreams = 2
        var status: Int32?
        var waiters: [Int: @Sendable () -> Void] = [:]
        var nextWaiter = 0
        /// Counts changes, so that one between looking and waiting is not missed.
        var changes = 0
    }

    public let pid: pid_t
    private let input: Int32
    private let state = Mutex(State())

    /// - Parameters:
    ///   - environment: the whole environment; nothing is inherited.
    public init(
        _ arguments: [String],
        environment: [String: String] = ChildProcess.plainEnvironment,
        directory: String? = nil
    ) throws {
        let started = try spawning.withLock { _ in
            try Self.start(arguments, environment: environment, directory: directory)
        }
        let (outPipe, errPipe) = (started.output, started.errors)
        let pid = started.pid
        self.pid = pid
        input = started.input
        onThread { [weak self] in Self.collect(outPipe, errPipe) { self?.received($0, $1) } }
        onThread { [weak self] in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            self?.ended(status)
        }
    }

    private struct Started {
        var pid: pid_t
        var input: Int32
        var output: Int32
        var errors: Int32
    }

    private static func start(_ arguments: [String], environment: [String: String], directory: String?) throws
        -> Started
    {
        let arguments = directory.map { ["env", "-C", $0] + arguments } ?? arguments
        let pipes = try (0..<3).map { _ in
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw SystemFailure("pipe", errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (read: ends[0], write: ends[1])
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipes[0].read, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1].write, 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[2].write, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A test's thread may have signals blocked, which a program inherits.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, arguments[0], &actions, &attributes, argv, envp)
        for descriptor in [pipes[0].read, pipes[1].write, pipes[2].write] { close(descriptor) }
        guard failure == 0 else {
            for descriptor in [pipes[0].write, pipes[1].read, pipes[2].read] { close(descriptor) }
            throw SystemFailure("spawn \(arguments[0])", failure)
        }
        return Started(pid: pid, input: pipes[0].write, output: pipes[1].read, errors: pipes[2].read)
    }

    deinit {
        if state.withLock({ $0.status == nil }) { kill(-pid, SIGKILL) }
        close(input)
    }

    /// PATH, HOME and a neutral locale.
    public static var plainEnvironment: [String: String] {
        [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": getenv("HOME").map { String(cString: $0) } ?? "/",
            "LANG": "C.UTF-8",
        ]
    }

    public var standardOutput: [UInt8] { state.withLock { $0.output } }
    public var standardError: [UInt8] { state.withLock { $0.errors } }
    public var hasEnded: Bool { state.withLock { $0.status != nil } }

    public func signal(_ number: Int32) { kill(pid, number) }

    public func send(_ text: String) {
        var text = text
        text.withUTF8 { _ = write(input, $0.baseAddress, $0.count) }
    }

    public func closeInput() { shutdownInput() }

    /// Waits for both streams to end and the process to be reaped.
    /// - Returns: exit status; a signal's number plus 128 for a killed one.
    public func exit(within deadline: Duration = .seconds(60)) async throws -> Int32 {
        try await wait(within: deadline, for: "the program's end") { state in
            guard let status = state.status, state.openStreams == 0 else { return nil }
            return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        }
    }

    /// Waits for a complete line that contains `text`.
    public func line(containing text: String, on stream: Stream = .stdout, within deadline: Duration = .seconds(30))
        async throws -> String
    {
        try await wait(within: deadline, for: "a line with '\(text)'") { state in
            let bytes = stream == .stdout ? state.output : state.errors
            let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
            return lines.lazy.map { String(decoding: $0, as: UTF8.self) }.first { $0.contains(text) }
        }
    }

    /// Waits for so many complete lines that contain `text`.
    @discardableResult
    public func lines(containing text: String, atLeast count: Int, within deadline: Duration = .seconds(30))
        async throws -> [String]
    {
        try await wait(within: deadline, for: "\(count) lines with '\(text)'") { state in
            let lines = state.output.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
            let found = lines.lazy.map { String(decoding: $0, as: UTF8.self) }.filter { $0.contains(text) }
            return found.count >= count ? Array(found) : nil
        }
    }

    // MARK: - Waiting

    private func wait<Value: Sendable>(
        within deadline: Duration,
        for what: String,
        _ look: @escaping @Sendable (borrowing State) -> Value?
    ) async throws -> Value {
        let expiry = Uptime.now + deadline
        while true {
            let (value, seen) = state.withLock { (look($0), $0.changes) }
            if let value { return value }
            let left = expiry - Uptime.now
            guard left > 0 else { throw TimedOut(what: what, process: self) }
            await changed(since: seen, within: left)
        }
    }

    /// Returns at the first change of state after the `seen`th, or after `nanoseconds`.
    private func changed(since seen: Int, within nanoseconds: Int64) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let once = Once { continuation.resume() }
            let isPast = state.withLock { state in
                guard state.changes == seen else { return true }
                state.waiters[state.nextWaiter] = { once.run() }
                state.nextWaiter += 1
                return false
            }
            if isPast { return once.run() }
            onThread {
                var pause = timespec(
                    tv_sec: Int(nanoseconds / 1_000_000_000),
                    tv_nsec: Int(nanoseconds % 1_000_000_000)
                )
                while !once.hasRun && nanosleepSlice(&pause) {}
                once.run()
            }
        }
    }

    private func notify(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            state.changes += 1
            let waiters = state.waiters.values.map { $0 }
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters { waiter() }
    }

    private func received(_ stream: Stream, _ bytes: [UInt8]) {
        notify { state in
            if bytes.isEmpty {
                state.openStreams -= 1
            } else if stream == .stdout {
                state.output += bytes
            } else {
                state.errors += bytes
            }
        }
    }

    private func ended(_ status: Int32) { notify { $0.status = status } }

    private func shutdownInput() { dup2Null(onto: input) }

    private static func collect(_ out: Int32, _ err: Int32, _ deliver: (Stream, [UInt8]) -> Void) {
        var polls = [
            pollfd(fd: out, events: Int16(POLLIN), revents: 0), pollfd(fd: err, events: Int16(POLLIN), revents: 0),
        ]
        var buffer = [UInt8](repeating: 0, count: 65536)
        while polls.contains(where: { $0.fd >= 0 }) {
            guard poll(&polls, 2, -1) > 0 else { continue }
            for index in polls.indices where polls[index].fd >= 0 && polls[index].revents != 0 {
                let count = read(polls[index].fd, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                deliver(index == 0 ? .stdout : .stderr, Array(buffer.prefix(max(0, count))))
                if count <= 0 {
                    close(polls[index].fd)
                    polls[index].fd = -1
                }
            }
        }
    }
}

/// A deadline that passed, with what the program had said until then.
public struct TimedOut: Error, CustomStringConvertible {
    public var description: String

    init(what: String, process: ChildProcess) {
        let output = String(decoding: process.standardOutput.suffix(2000), as: UTF8.self)
        let errors = String(decoding: process.standardError.suffix(2000), as: UTF8.self)
        description = "waited in vain for \(what)\nstdout: \(output)\nstderr: \(errors)"
    }
}
