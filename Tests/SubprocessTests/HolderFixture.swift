import Base
import EventLoop
import Glibc
import HolderProtocol
import Subprocess
import TestSupport

/// A real holder of one test's own, ended (with its children) with its last reference.
final class HolderFixture: Sendable {
    let scratch: TemporaryDirectory
    let loop: EventLoop
    let pid: pid_t
    private let endSignal: Int32

    var socketPath: String { "\(scratch.path)/hold.sock" }

    /// `launcher` comes before the holder's own command line.
    init(_ arguments: [String] = [], launcher: [String] = [], endSignal: Int32 = SIGTERM) throws {
        self.endSignal = endSignal
        scratch = try TemporaryDirectory("hold")
        loop = try EventLoop(name: "test")
        loop.start()
        pid = try Self.start(
            launcher
                + [BuiltProduct.path("berth-hold"), "--socket", "\(scratch.path)/hold.sock", "--ready", "3"]
                + arguments
        )
    }

    deinit {
        kill(pid, endSignal)
        waitpid(pid, nil, 0)
        loop.stop()
    }

    func connect() async throws -> HolderClient { try await HolderClient.connect(to: socketPath, loop: loop) }

    /// Starts a program with a pipe as its descriptor 3 and returns once it has written there.
    static func start(_ arguments: [String]) throws -> pid_t {
        let ready = try NamedPipe()
        let pid = try launch(arguments, descriptors: [(ready.write, 3)])
        close(ready.write)
        var byte: UInt8 = 0
        guard Glibc.read(ready.read, &byte, 1) == 1 else {
            close(ready.read)
            throw BerthError(.internal, "'\(arguments[0])' did not become ready")
        }
        close(ready.read)
        return pid
    }

    static func launch(_ arguments: [String], descriptors: [(from: Int32, to: Int32)] = []) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (from, to) in descriptors { posix_spawn_file_actions_adddup2(&actions, from, to) }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for pointer in argv { free(pointer) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, arguments[0], &actions, nil, argv, environ)
        guard result == 0 else {
            throw BerthError(.internal, "'\(arguments[0])' cannot be started: \(String(cString: strerror(result)))")
        }
        return pid
    }
}

extension SpawnRequest {
    /// A shell script with the usual search path.
    static func shell(_ id: String, _ script: String) -> SpawnRequest {
        SpawnRequest(
            id: id,
            arguments: ["/bin/sh", "-c", script],
            environment: ["PATH=/usr/local/bin:/usr/bin:/bin"]
        )
    }
}

extension Child {
    /// Everything from a pipe until its end.
    func readAll(_ role: DescriptorRole, loop: EventLoop) async throws -> String {
        guard let descriptor = descriptors[role] else { throw BerthError(.notFound, "no \(role)") }
        let watched = Descriptor(descriptor, loop: loop)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer[..<count]
            } else if count < 0, errno == EAGAIN {
                try await watched.readable()
            } else {
                break
            }
        }
        await watched.close()
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Whether a process exists and is no zombie.
func isAlive(_ pid: Int32) -> Bool {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return false }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    guard getline(&line, &capacity, file) > 0, let text = line.map({ String(cString: $0) }) else { return false }
    guard let end = text.lastIndex(of: ")") else { return false }
    return !text[end...].hasPrefix(") Z")
}

/// Whether all processes are gone within two seconds: a killed one still shows for a moment after its files are closed.
func areGone(_ pids: [Int32]) async throws -> Bool {
    let time = SystemTime()
    let deadline = time.uptime + .seconds(2)
    while pids.contains(where: isAlive) {
        if time.uptime > deadline { return false }
        try await time.wait(for: .milliseconds(1))
    }
    return true
}
