import Base
import Domain
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import WorkerProtocol

@Suite struct RecoveryTests {
    @Test func `a worker that has its server again does not end its runs for the silence before`() async throws {
        let place = try await WorkerFixture(after: .seconds(72))
        // Longer than what was left of the 75 s.
        let (_, report) = try await place.run("sh", "-c", "sleep 5")
        #expect(report.outcome == .completed)
    }

    /// Writes 300,000 numbered lines over about two seconds.
    private static let slowScript = """
        i=0; while [ $i -lt 60 ]; do seq $((i*5000)) $((i*5000+4999)); i=$((i+1)); sleep 0.03; done
        """
    private static let slowOutput = (0..<300_000).map { "\($0)\n" }.joined()

    @Test func `a run goes on, byte for byte, while its worker is killed again and again`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", Self.slowScript + "; exit 3"]))
        for round in 1...6 {
            try await place.server.bytes(id, atLeast: round * 200_000)
            kill(try place.workerPID(), SIGKILL)
            try await place.server.connected(times: round + 1)
        }
        let report = try await place.server.report(id)
        #expect(report.exitCode == 3)
        #expect(await place.server.text(id) == Self.slowOutput)
        #expect(report.stdout?.totalBytes == Int64(Self.slowOutput.utf8.count))
        #expect(await place.server.hellos.last?.attempts?.first?.executionId == id)
    }

    @Test func `a run goes on, byte for byte, while its server restarts`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", Self.slowScript]))
        for round in 1...4 {
            try await place.server.bytes(id, atLeast: round * 300_000)
            await place.server.stop()
            try await place.server.start()
            try await place.server.connected(times: round + 1)
        }
        let report = try await place.server.report(id)
        #expect(report.outcome == .completed)
        #expect(await place.server.text(id) == Self.slowOutput)
    }

    @Test func `an end that came while the server was away is told when it is back`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let script = "echo before; while [ ! -e go ]; do sleep 0.01; done; echo after; exit 5"
        try await place.server.send(place.assignment(id, command: ["sh", "-c", script]))
        try await place.server.bytes(id, atLeast: 7)
        await place.server.stop()
        try place.directory.write("", to: "state/tmp/berth-\(id)-1/go")
        try await place.waitForEnd(id)
        kill(try place.workerPID(), SIGKILL)
        try await place.server.start()
        #expect(try await place.server.report(id).exitCode == 5)
        #expect(await place.server.text(id) == "before\nafter\n")
    }

    @Test func `what was accepted and never began is reported as lost`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.connected(times: 1)
        // The holder stops, so that the spawn cannot happen; the worker dies after its row is durable.
        kill(place.holderPID, SIGSTOP)
        try await place.server.send(place.assignment(id, command: ["true"]))
        try await place.waitForRow(id)
        kill(try place.workerPID(), SIGKILL)
        kill(place.holderPID, SIGCONT)
        let report = try await place.server.report(id)
        // The request may have reached the holder's socket before the worker died: then it ran, once, and that is told.
        #expect(report.failure?.code == .infrastructureLost || report.outcome == .completed)
    }

    @Test func `an attempt that the server fenced off is killed and dropped`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", "echo $$; exec sleep 300"]))
        try await place.server.bytes(id, atLeast: 2)
        await place.server.answer(id, .kill)
        await place.server.stop()
        try await place.server.start()
        try await place.server.connected(times: 2)
        let pid = try #require(await pid_t(place.server.text(id).dropLast()))
        try await place.until("the process is gone") { kill(pid, 0) != 0 }
        // Gone from the next hello.
        try await place.until("the files are gone") { access(place.directory.file("state/output/\(id)"), F_OK) != 0 }
        #expect(await place.server.reports[id] == nil)
    }

    @Test func `a worker whose server says nothing keeps little in memory and loses nothing`() async throws {
        let place = try await WorkerFixture()
        await place.server.grantCredit(false)
        let id: ExecutionID = place.ids.make()
        let script = "head -c 60000000 /dev/zero | tr '\\0' x"
        try await place.server.send(
            place.assignment(id, command: ["sh", "-c", script], maxOutputBytes: 100_000_000)
        )
        try await place.server.bytes(id, atLeast: 1 << 20)
        #expect(try Sanitizer.isOn || place.anonymousMemory() < 24 << 20)
        #expect(await place.server.stored(id).count == 1 << 20)
        await place.server.grantCredit(true)
        await place.server.stop()
        try await place.server.start()
        let report = try await place.server.report(id)
        #expect(report.stdout?.totalBytes == 60_000_000)
        #expect(await place.server.stored(id).count == 60_000_000)
    }

    @Test func `a wrong token is refused and tried again`() async throws {
        let place = try await WorkerFixture(startingServer: false)
        try place.directory.write("wrong\n", to: "run/token")
        try await place.server.start()
        try await place.server.refused()
        try place.directory.write("test-token\n", to: "run/token")
        try await place.server.connected(times: 1)
    }

    @Test func `a cancelled run stays cancelled when its worker dies meanwhile`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let script = "trap 'echo bye; sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        try await place.server.send(place.assignment(id, command: ["sh", "-c", script]))
        try await place.server.bytes(id, atLeast: 3)
        try await place.server.send(.cancel(.init(executionId: id.text, attempt: 1)))
        try await place.server.bytes(id, atLeast: 7)
        kill(try place.workerPID(), SIGKILL)
        #expect(try await place.server.report(id).outcome == .cancelled)
        #expect(await place.server.text(id) == "up\nbye\n")
    }

    @Test func `a cancel ends a clone from a host that says nothing`() async throws {
        let place = try await WorkerFixture()
        let silent = try ChildProcess([
            "python3", "-c",
            "import socket\ns=socket.socket();s.bind(('127.0.0.1',0));s.listen();print(s.getsockname()[1],flush=True)\ninput()",
        ])
        let port = try await silent.line(containing: "")
        let id: ExecutionID = place.ids.make()
        let request = WorkspaceRequest(
            workspaceID: place.ids.make(),
            directory: "app",
            repositoryURL: "http://127.0.0.1:\(port)/app.git",
            branch: "berth/x"
        )
        try await place.server.send(place.assignment(id, command: ["true"], workspace: request))
        try await place.server.progressed()
        try await place.server.send(.cancel(.init(executionId: id.text, attempt: 1)))
        let report = try await place.server.report(id)
        #expect(report.outcome == .cancelled)
        let left = try await run(["pgrep", "-f", "127.0.0.1:\(port)/app.git"])
        #expect(left.output == "")
    }
}
