import Base
import EventLoop
import Glibc
import HolderProtocol
import Subprocess
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct ProcessTreeTests {
    /// Starts a tree that detaches itself in every usual way and reports its process numbers on standard output.
    private static let detaching = """
        sh -c 'echo $$; sleep 1000' &
        (setsid sh -c 'echo $$; setsid sh -c "echo \\$\\$; exec sleep 1000" & exec sleep 1000' &)
        nohup sh -c 'trap "" TERM HUP INT; echo $$; while :; do sleep 1000; done' &
        """

    private func pids(_ child: Child, count: Int, holder: HolderFixture) async throws -> [Int32] {
        var text = ""
        let descriptor = try #require(child.descriptors[.output])
        var buffer = [UInt8](repeating: 0, count: 4096)
        let watched = Descriptor(descriptor, loop: holder.loop)
        while text.split(separator: "\n").count < count || !text.hasSuffix("\n") {
            let got = read(descriptor, &buffer, buffer.count)
            if got > 0 {
                text += String(decoding: buffer[..<got], as: UTF8.self)
            } else if got < 0, errno == EAGAIN {
                try await watched.readable()
            } else {
                throw BerthError(.internal, "the tree ended before it was whole: \(text)")
            }
        }
        await watched.close()
        return text.split(separator: "\n").compactMap { Int32($0) }
    }

    @Test(arguments: [0, 50]) func `nothing of a detached tree is left after terminate`(graceMs: Int) async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let child = try await client.spawn(.shell("tree:1", Self.detaching + "\nexec sleep 1000"))
        let pids = try await pids(child, count: 4, holder: holder)
        #expect(pids.count == 4)
        #expect(pids.allSatisfy(isAlive))
        try await client.terminate("tree:1", grace: .milliseconds(graceMs))
        let exit = try await client.exit(of: "tree:1")
        #expect(!exit.hasLeftovers)
        #expect(!pids.contains(where: isAlive))
        await client.close()
    }

    @Test func `what the main process leaves behind is killed when it ends by itself`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("left:1", Self.detaching + "\nread line; exit 4")
        request.input = .pipe
        let child = try await client.spawn(request)
        let pids = try await pids(child, count: 4, holder: holder)
        let writer = try InputWriter(try #require(child.descriptors[.input]), loop: holder.loop)
        try await writer.write(Array("go\n".utf8))
        let exit = try await client.exit(of: "left:1")
        #expect(exit.cause == .code(4))
        #expect(!pids.contains(where: isAlive))
        await client.close()
    }

    @Test func `leftovers stay when asked for and end with terminate`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("keep:1", "setsid sleep 1000 & echo $!; exit 5")
        request.reapsTree = false
        let child = try await client.spawn(request)
        let exit = try await client.exit(of: "keep:1")
        #expect(exit.cause == .code(5))
        #expect(exit.hasLeftovers)
        let pids = try await pids(child, count: 1, holder: holder)
        #expect(pids.allSatisfy(isAlive))
        try await client.terminate("keep:1", grace: .zero)
        #expect(try await child.readAll(.output, loop: holder.loop) == "")
        #expect(try await areGone(pids))
        await client.close()
    }

    @Test func `a tree that forks faster than it can be listed is ended`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("bomb:1", "b() { sleep 0.001 & b & }; b; wait; sleep 1000")
        request.user = UserIdentity(uid: 65533, gid: 65533)
        request.limits.processes = 300
        if geteuid() != 0 { request = .shell("bomb:1", "while :; do setsid sh -c 'sleep 0.2 & sleep 0.2' & done") }
        let child = try await client.spawn(request)
        try await client.terminate("bomb:1", grace: .milliseconds(100))
        let exit = try await client.exit(of: "bomb:1")
        #expect(!exit.hasLeftovers)
        #expect(try await !child.readAll(.output, loop: holder.loop).contains("never"))
        await client.close()
    }

    @Test func `the holder's end is its children's end`() async throws {
        for signal in [SIGTERM, SIGKILL] {
            let holder = try HolderFixture(["--grace", "100"])
            let client = try await holder.connect()
            let child = try await client.spawn(.shell("end:1", Self.detaching + "\nexec sleep 1000"))
            let pids = try await pids(child, count: 4, holder: holder)
            kill(holder.pid, signal)
            // The output ends when the last process of the tree has.
            _ = try await child.readAll(.output, loop: holder.loop)
            #expect(try await areGone(pids))
            await client.close()
        }
    }

    @Test func `a killed guardian costs its own child only`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let other = try await client.spawn(.shell("other:1", "sleep 1000"))
        let child = try await client.spawn(.shell("lost:1", Self.detaching + "\nexec sleep 1000"))
        let pids = try await pids(child, count: 4, holder: holder)
        guard case .running(let main) = child.status.state else { throw BerthError(.internal, "not running") }
        kill(parent(of: main), SIGKILL)
        #expect(try await client.exit(of: "lost:1").cause == .lost)
        _ = try await child.readAll(.output, loop: holder.loop)
        #expect(try await areGone(pids + [main]))
        guard case .running(let otherMain) = other.status.state else { throw BerthError(.internal, "not running") }
        #expect(isAlive(otherMain))
        await client.close()
    }

    private func parent(of pid: Int32) -> Int32 {
        guard let file = fopen("/proc/\(pid)/stat", "r") else { return 0 }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        guard getline(&line, &capacity, file) > 0, let text = line.map({ String(cString: $0) }) else { return 0 }
        return text.split(separator: ") ").last.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap {
            Int32($0)
        } ?? 0
    }
}
