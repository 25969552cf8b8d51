import Base
import EventLoop
import Glibc
import HolderProtocol
import Subprocess
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct HolderTests {
    @Test func `a child's output, directory, environment and exit are as asked`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("a:1", "echo out $NAME; pwd; echo err >&2; exit 7")
        request.environment.append("NAME=value")
        request.directory = "/usr"
        let child = try await client.spawn(request)
        #expect(try await child.readAll(.output, loop: holder.loop) == "out value\n/usr\n")
        #expect(try await child.readAll(.error, loop: holder.loop) == "err\n")
        #expect(try await client.exit(of: "a:1").cause == .code(7))
        await client.close()
    }

    @Test func `a child has a clean start`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let script = """
            grep -E '^(SigBlk|SigIgn|CapEff|CapBnd|NoNewPrivs)' /proc/self/status
            cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l
            """
        let child = try await client.spawn(.shell("clean:1", script))
        let text = try await child.readAll(.output, loop: holder.loop)
        #expect(text.contains("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"))
        #expect(text.contains("CapEff:\t0000000000000000\n"))
        #expect(text.contains("NoNewPrivs:\t1\n"))
        // 0, 1, 2 and the one ls reads the directory by.
        #expect(text.hasSuffix("\n500\n4\n"))
        await client.close()
    }

    @Test func `a program that cannot be executed is a typed error with step and errno`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        func failure(_ arguments: [String], directory: String = "") async -> BerthError? {
            let request = SpawnRequest(id: "bad:1", arguments: arguments, directory: directory)
            return await #expect(throws: BerthError.self) { try await client.spawn(request) }
        }
        let missing = await failure(["no-such-program"])
        #expect(missing?.code == .programMissing)
        #expect(missing?.detail == "step execute, errno 2 (No such file or directory)")
        #expect(await failure(["/etc/passwd"])?.code == .programNotExecutable)
        #expect(await failure(["/bin/true"], directory: "/no/such")?.code == .directoryUnusable)
        #expect(await failure(["/bin/true"], directory: "relative")?.code == .invalidRequest)
        #expect(await failure([])?.code == .invalidRequest)
        #expect(await failure(["/bin/true", "a\0b"])?.code == .invalidRequest)
        #expect(try await client.list().isEmpty)
        await client.close()
    }

    @Test func `a repeated spawn finds the same child, and forgetting ends that`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let first = try await client.spawn(.shell("same:1", "echo $$"))
        let exit = try await client.exit(of: "same:1")
        #expect(exit.cause == .code(0))
        let second = try await client.spawn(.shell("same:1", "echo other"))
        #expect(second.status.startedAtMs == first.status.startedAtMs)
        #expect(second.status.state == .exited(exit))
        try await client.forget("same:1")
        try await client.forget("same:1")
        #expect(try await client.list().isEmpty)
        let error = await #expect(throws: BerthError.self) { try await client.child("same:1") }
        #expect(error?.code == .notFound)
        await client.close()
    }

    @Test func `a running child cannot be forgotten`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        _ = try await client.spawn(.shell("run:1", "sleep 100"))
        let error = await #expect(throws: BerthError.self) { try await client.forget("run:1") }
        #expect(error?.code == .illegalTransition)
        await client.close()
    }

    @Test func `input comes from a passed descriptor`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let path = "\(holder.scratch.path)/input"
        let file = open(path, O_RDWR | O_CREAT, 0o600)
        _ = write(file, "hello", 5)
        lseek(file, 0, SEEK_SET)
        var request = SpawnRequest.shell("in:1", "cat; cat")
        request.input = .descriptor
        let child = try await client.spawn(request, input: file)
        close(file)
        #expect(try await child.readAll(.output, loop: holder.loop) == "hello")
        await client.close()
    }

    @Test func `an input pipe outlives its worker and ends when closed`() async throws {
        let holder = try HolderFixture()
        let first = try await holder.connect()
        var request = SpawnRequest.shell("pipe:1", "cat")
        request.input = .pipe
        do {
            let child = try await first.spawn(request)
            let writer = try InputWriter(try #require(child.descriptors[.input]), loop: holder.loop)
            try await writer.write(Array("one ".utf8))
            await writer.close()
        }
        await first.close()
        let second = try await holder.connect()
        do {
            let child = try await second.child("pipe:1")
            let writer = try InputWriter(try #require(child.descriptors[.input]), loop: holder.loop)
            try await writer.write(Array("two".utf8))
            await writer.close()
            try await second.closeInput("pipe:1")
        }
        let child = try await second.child("pipe:1")
        #expect(try await child.readAll(.output, loop: holder.loop) == "one two")
        await second.close()
    }

    @Test func `a terminal has the size asked for, and the new one after a resize`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("tty:1", "stty size; tty >/dev/tty; read line; stty size")
        request.mode = .terminal(columns: 100, rows: 30)
        let child = try await client.spawn(request)
        try await client.resize("tty:1", columns: 132, rows: 43)
        let writer = try InputWriter(try #require(child.descriptors[.terminal]), loop: holder.loop)
        try await writer.write(Array("go\n".utf8))
        let text = try await child.readAll(.terminal, loop: holder.loop)
        #expect(text.hasSuffix("43 132\r\n"))
        #expect(text.contains("/dev/pts/"))
        await writer.close()
        await client.close()
    }

    @Test func `signals reach the main process, its group or its tree`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        _ = try await client.spawn(.shell("sig:1", "exec sleep 100"))
        try await client.signal("sig:1", SIGINT)
        #expect(try await client.exit(of: "sig:1").cause == .signal(SIGINT))
        _ = try await client.spawn(.shell("sig:2", "setsid sleep 100; exit 3"))
        // Only the tree's scope reaches the session of its own; the shell itself survives the signal.
        let error = await #expect(throws: BerthError.self) { try await client.signal("sig:2", 99) }
        #expect(error?.code == .invalidRequest)
        try await client.terminate("sig:2", grace: .zero)
        #expect(try await client.exit(of: "sig:2").cause == .signal(SIGKILL))
        await client.close()
    }

    @Test func `a second holder does not take a living one's socket`() throws {
        let holder = try HolderFixture()
        #expect(throws: BerthError.self) {
            try HolderFixture.start([BuiltProduct.path("berth-hold"), "--socket", holder.socketPath, "--ready", "3"])
        }
        var status = stat()
        #expect(stat(holder.socketPath, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `arguments too long for the system or the wire are refused by name and cost nothing else`() async throws
    {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        for size in [300_000, 5_000_000] {
            let request = SpawnRequest(
                id: "long:1",
                arguments: ["/bin/true", String(repeating: "a", count: size)]
            )
            let error = await #expect(throws: BerthError.self) { try await client.spawn(request) }
            #expect(error?.code == .tooLarge)
        }
        try await client.ping()
        await client.close()
    }

    @Test func `a connection that talks nonsense is closed and disturbs nobody`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        for garbage in [[UInt8](repeating: 0xFF, count: 64), [UInt8](repeating: 0, count: 16), [1, 2, 3]] {
            let socket = UnixSocket.connect(to: holder.socketPath)
            #expect(socket >= 0)
            #expect(write(socket, garbage, garbage.count) == garbage.count)
            shutdown(socket, Int32(SHUT_WR))
            var byte: UInt8 = 0
            #expect(read(socket, &byte, 1) == 0)
            close(socket)
        }
        try await client.ping()
        await client.close()
    }

    @Test func `a holder and its guardians stay small`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        // One large request and many children before: what they took must not stay.
        var large = SpawnRequest.shell("size:0", "true")
        large.environment += (0..<1000).map { "V\($0)=\(String(repeating: "x", count: 1000))" }
        _ = try await client.spawn(large)
        for index in 1...50 { _ = try await client.spawn(.shell("size:\(index)", "true")) }
        for index in 0...50 {
            _ = try await client.exit(of: "size:\(index)")
            try await client.forget("size:\(index)")
        }
        let child = try await client.spawn(
            .shell("size:end", "grep RssAnon /proc/$PPID/status /proc/\(holder.pid)/status")
        )
        let text = try await child.readAll(.output, loop: holder.loop)
        let kilobytes = text.split(separator: "\n").compactMap { Int($0.split(separator: " ").dropLast().last ?? "") }
        #expect(kilobytes.count == 2)
        #expect(Sanitizer.isOn || kilobytes.allSatisfy { $0 <= 3 * 1024 }, "\(text)")
        await client.close()
    }

    @Test func `two hundred children run side by side`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<200 {
                group.addTask {
                    let id = "many:\(index)"
                    let child = try await client.spawn(.shell(id, "echo \(index); exit \(index % 7)"))
                    #expect(try await child.readAll(.output, loop: holder.loop) == "\(index)\n")
                    #expect(try await client.exit(of: id).cause == .code(Int32(index % 7)))
                    try await client.forget(id)
                }
            }
            try await group.waitForAll()
        }
        #expect(try await client.list().isEmpty)
        await client.close()
    }

    @Test func `those who wait hear of the holder's end and of their own cancellation`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        _ = try await client.spawn(.shell("gone:1", "sleep 100"))
        await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    _ = try await client.exit(of: "gone:1")
                    return nil
                } catch { return error }
            }
            group.cancelAll()
            #expect(await group.next() as? CancellationError != nil)
        }
        async let waiting = client.exit(of: "gone:1")
        try await client.ping()
        kill(holder.pid, SIGKILL)
        do {
            _ = try await waiting
            Issue.record("a child ended that nobody saw")
        } catch {
            #expect((error as? BerthError)?.code == .unavailable)
        }
        let later = await #expect(throws: BerthError.self) { try await client.ping() }
        #expect(later?.code == .unavailable)
        for await _ in client.events {}
        let refused = await #expect(throws: BerthError.self) { try await holder.connect() }
        #expect(refused?.code == .unavailable)
    }

    @Test func `as the first process of a pid namespace it reaps strays and ends the namespace`() async throws {
        let holder = try HolderFixture(
            ["--grace", "100"],
            launcher: [
                "/usr/bin/unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc",
                "--kill-child=SIGTERM",
            ],
            endSignal: SIGKILL
        )
        let client = try await holder.connect()
        #expect(await client.holderPID == 1)
        let script = "(setsid sh -c 'setsid sleep 1000 & exit' &); sleep 0.05; ps -e -o stat= | grep -c Z; exit 3"
        let child = try await client.spawn(.shell("first:1", script))
        #expect(try await child.readAll(.output, loop: holder.loop) == "0\n")
        #expect(try await client.exit(of: "first:1").cause == .code(3))
        let last = try await client.spawn(.shell("first:2", "trap '' TERM; sleep 1000"))
        kill(holder.pid, SIGKILL)
        #expect(try await last.readAll(.output, loop: holder.loop) == "")
        for await _ in client.events {}
        await client.close()
    }
}
