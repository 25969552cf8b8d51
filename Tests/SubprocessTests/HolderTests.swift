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
}
