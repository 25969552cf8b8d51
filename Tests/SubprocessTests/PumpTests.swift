import Base
import EventLoop
import Glibc
import HolderProtocol
import OpenSSL
import OutputStore
import Subprocess
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct PumpTests {
    let randomness = SeededRandomness(seed: 20_261_120)
    let executionID: ExecutionID = IDSource(time: SystemTime(), randomness: SystemRandomness()).make()

    private var key: OutputKey { OutputKey(executionID: executionID, attempt: 1, stream: .stdout) }

    @Test func `a pump stores what a process writes, and its end`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let child = try await client.spawn(.shell("p:1", "for i in 1 2 3; do echo line $i; done; seq 100000 >&2"))
        let spool = try Spool(root: holder.scratch.path, key: key)
        var errors = key
        errors.stream = .stderr
        let errorSpool = try Spool(root: holder.scratch.path, key: errors)
        async let mark = OutputPump(
            source: try #require(child.descriptors.output),
            spool: spool,
            loop: holder.loop
        ).run()
        async let errorMark = OutputPump(
            source: try #require(child.descriptors.error),
            spool: errorSpool,
            loop: holder.loop
        ).run()
        #expect(try await mark.totalBytes == 21)
        #expect(try await errorMark.totalBytes == 588_895)
        #expect(String(decoding: try spool.read(from: 0, upTo: 100), as: UTF8.self) == "line 1\nline 2\nline 3\n")
        #expect(
            String(decoding: try errorSpool.read(from: 588_882, upTo: 100), as: UTF8.self)
                == "99999\n100000\n"
        )
        #expect(try await client.exit(of: "p:1").cause == .code(0))
        try await client.forget("p:1")
        await client.close()
    }

    /// Pumps by a process of its own that is killed again and again, the last time left to finish.
    private func pumpUnderKills(_ id: String, kills: Int, head: Int64, holder: HolderFixture) async throws {
        let arguments = [
            BuiltProduct.path("subprocess-fixture"), "pump", holder.socketPath, holder.scratch.path,
            executionID.text, id, String(head),
        ]
        for _ in 0..<kills {
            let pid = try HolderFixture.launch(arguments)
            // Not a wait for anything: the moment of the kill is what the test varies.
            try await SystemTime().wait(for: .microseconds(8000 + Int64(randomness.next() % 16_000)))
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            #expect(status & 0x7F == SIGKILL)
        }
        close(open("\(holder.scratch.path)/stop", O_CREAT | O_WRONLY, 0o600))
        #expect(try await exitStatus(of: HolderFixture.launch(arguments)) == 0)
    }

    /// What `subprocess-fixture generate` writes, see there.
    private static let block = (0..<65_521).map { (index: Int) -> UInt8 in
        UInt8(33 + (index * 31 + index / 251 * 7) % 90)
    }

    private func generated(_ range: Range<Int64>) -> [UInt8] {
        range.map { Self.block[Int($0 % Int64(Self.block.count))] }
    }

    private func digest(of total: Int64) -> String {
        var running = SHA256()
        while running.byteCount < total {
            running.update(Self.block.prefix(Int(min(Int64(Self.block.count), total - running.byteCount))))
        }
        return Hex.encode(running.digest)
    }

    private func expectExact(_ spool: Spool, head: Int64) throws {
        let mark = try #require(spool.mark)
        // Enough went through that the kills fell into the pumping.
        #expect(mark.totalBytes > 1_000_000)
        #expect(mark.totalBytes % Int64(Self.block.count) == 0)
        #expect(mark.sha256 == digest(of: mark.totalBytes))
        let stored = try spool.read(from: 0, upTo: Int(mark.storedBytes))
        let tail = generated(mark.totalBytes - mark.storedTail..<mark.totalBytes)
        #expect(stored == generated(0..<mark.storedHead) + tail)
        #expect(mark.storedHead == min(head, mark.totalBytes))
    }

    @Test func `220 kills of the pumping worker lose and repeat no byte`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let stop = "\(holder.scratch.path)/stop"
        let head: Int64 = 3_000_000
        _ = try await client.spawn(
            SpawnRequest(id: "gen:1", arguments: [BuiltProduct.path("subprocess-fixture"), "generate", stop])
        )
        try await pumpUnderKills("gen:1", kills: 220, head: head, holder: holder)
        #expect(try await client.exit(of: "gen:1").cause == .code(0))
        let limits = SpoolLimits(headBytes: head, tailBytes: 65_536)
        try expectExact(try Spool(root: holder.scratch.path, key: key, limits: limits), head: head)
        await client.close()
    }

    @Test func `60 kills of the worker that pumps a terminal lose and repeat no byte`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let stop = "\(holder.scratch.path)/stop"
        let program = BuiltProduct.path("subprocess-fixture")
        var request = SpawnRequest.shell("tty:1", "stty raw -opost; exec '\(program)' generate '\(stop)'")
        request.mode = .terminal(columns: 80, rows: 24)
        _ = try await client.spawn(request)
        try await pumpUnderKills("tty:1", kills: 60, head: 1 << 40, holder: holder)
        #expect(try await client.exit(of: "tty:1").cause == .code(0))
        let head: Int64 = 1 << 40
        try expectExact(
            try Spool(root: holder.scratch.path, key: key, limits: SpoolLimits(headBytes: head)),
            head: head
        )
        await client.close()
    }

    @Test(.disabled(if: Sanitizer.watchesThreads, "the limit that plays the full disk would be the sanitizer's own"))
    func `a full disk is told by name, and once there is room nothing is missing`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let stop = "\(holder.scratch.path)/stop"
        let program = BuiltProduct.path("subprocess-fixture")
        _ = try await client.spawn(SpawnRequest(id: "full:1", arguments: [program, "generate", stop]))
        let arguments = [
            "/usr/bin/prlimit", "--fsize=500000", program, "pump", holder.socketPath, holder.scratch.path,
            executionID.text, "full:1", "3000000",
        ]
        #expect(try await exitStatus(of: HolderFixture.launch(arguments)) == ErrorCode.diskFull.exitStatus)
        try await pumpUnderKills("full:1", kills: 0, head: 3_000_000, holder: holder)
        let limits = SpoolLimits(headBytes: 3_000_000)
        try expectExact(try Spool(root: holder.scratch.path, key: key, limits: limits), head: 3_000_000)
        await client.close()
    }

    private func exitStatus(of pid: pid_t) async throws -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 { try await SystemTime().wait(for: .milliseconds(1)) }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
    }

    @Test func `exits and output wait for a new worker when the old one is killed`() async throws {
        let holder = try HolderFixture()
        do {
            let first = try await holder.connect()
            _ = try await first.spawn(.shell("wait:1", "echo kept; exit 9"))
            _ = try await first.exit(of: "wait:1")
            await first.close()
        }
        let second = try await holder.connect()
        let listed = try await second.list()
        #expect(listed.map(\.id) == ["wait:1"])
        let child = try await second.child("wait:1")
        #expect(try await child.readAll(.output, loop: holder.loop) == "kept\n")
        #expect(try await second.exit(of: "wait:1").cause == .code(9))
        await second.close()
    }
}
