import Base
import Domain
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import WorkerProtocol

@Suite struct CommandTests {
    @Test func `a command's output, exit status and digest arrive`() async throws {
        let place = try await WorkerFixture()
        let (id, report) = try await place.run("sh", "-c", "echo out; echo err >&2; exit 7")
        #expect(report.outcome == .failed)
        #expect(report.exitCode == 7)
        #expect(report.failure?.code == .agentFailed)
        #expect(await place.server.text(id) == "out\n")
        #expect(await place.server.text(id, .stderr) == "err\n")
        #expect(report.stdout?.totalBytes == 4)
        #expect(report.stdout?.sha256 == "54034ac5c6e9ea95734ec2b729fd6d62abf64af34a9f9ce5d466cb788191a73d")
        let (_, done) = try await place.run("true")
        #expect(done.outcome == .completed && done.exitCode == 0 && done.failure == nil)
    }

    @Test func `a command gets its variables and its attempt and a directory of its own`() async throws {
        let place = try await WorkerFixture()
        let (id, _) = try await place.run(
            "sh",
            "-c",
            "echo $A $BERTH_EXECUTION_ID $BERTH_ATTEMPT; pwd; ls -a",
            env: ["A": "x y"]
        )
        let lines = await place.server.text(id).split(separator: "\n")
        #expect(lines.first == "x y \(id) 1")
        #expect(lines[1].hasSuffix("/berth-\(id)-1"))
        #expect(lines.dropFirst(2) == [".", ".."])
        #expect(access(String(lines[1]), F_OK) != 0)
    }

    @Test func `a program that is not there is a reason of its own`() async throws {
        let place = try await WorkerFixture()
        let (_, report) = try await place.run("no-such-program")
        #expect(report.outcome == .failed)
        #expect(report.failure?.code == .agentMissing)
        #expect(report.exitCode == nil)
    }

    @Test func `a run ends at its time limit with everything it started`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let script = "echo $$; setsid sleep 300 & echo $!; wait"
        try await place.server.send(place.assignment(id, command: ["sh", "-c", script], timeoutMs: 700))
        let report = try await place.server.report(id)
        #expect(report.outcome == .timedOut)
        #expect(report.failure?.code == .timedOut)
        for pid in await place.server.text(id).split(separator: "\n").compactMap({ pid_t($0) }) {
            #expect(kill(pid, 0) != 0)
        }
    }

    @Test func `a cancelled run is cancelled`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", "echo up; sleep 300"]))
        try await place.server.bytes(id, atLeast: 3)
        try await place.server.send(.cancel(.init(executionId: id.text, attempt: 1)))
        let report = try await place.server.report(id)
        #expect(report.outcome == .cancelled)
        #expect(report.signal == SIGTERM)
    }

    /// The server has another end, and takes no byte of it any more.
    @Test func `a run that is to be forgotten while it goes on is ended first`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let file = place.home + "/ended"
        let script = "trap 'touch \(file); exit' TERM; echo up; while :; do sleep 0.05; done"
        try await place.server.send(place.assignment(id, command: ["sh", "-c", script]))
        try await place.server.bytes(id, atLeast: 3)
        try await place.server.send(.forget(.init(executionId: id, attempt: 1)))
        try await place.until("the process is ended") { FileManager.default.fileExists(atPath: file) }
    }

    @Test func `output beyond the cap is counted, its digest true and its end kept`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let script = "head -c 3000000 /dev/zero; printf the-end"
        try await place.server.send(
            place.assignment(id, command: ["sh", "-c", script], maxOutputBytes: 1_000_000)
        )
        let report = try await place.server.report(id)
        let mark = try #require(report.stdout)
        #expect(mark.totalBytes == 3_000_007)
        #expect(mark.headBytes == 1_000_000)
        #expect(await place.server.stored(id).count == 1_000_000)
        #expect(await place.server.tail(id).count == Int(mark.tailBytes))
        #expect(await String(decoding: place.server.tail(id).suffix(7), as: UTF8.self) == "the-end")
        #expect(await place.server.total(id) == 3_000_007)
        let expected = try await check(["sh", "-c", "(\(script)) | sha256sum"])
        #expect(expected.hasPrefix(mark.sha256))
    }

    @Test func `many runs at once do not mix`() async throws {
        let place = try await WorkerFixture()
        let ids: [ExecutionID] = (0..<12).map { _ in place.ids.make() }
        for (number, id) in ids.enumerated() {
            try await place.server.send(
                place.assignment(id, command: ["sh", "-c", "for i in 1 2 3 4 5; do echo \(number); done"])
            )
        }
        for (number, id) in ids.enumerated() {
            #expect(try await place.server.report(id).outcome == .completed)
            #expect(await place.server.text(id) == String(repeating: "\(number)\n", count: 5))
        }
    }

    @Test func `an assignment that makes no sense is refused by field`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: []))
        #expect(try await place.server.report(id).failure?.code == .missingField)
        let other: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(other, command: ["true"], env: ["A=B": "x"]))
        #expect(try await place.server.report(other).failure?.code == .invalidValue)
    }
}
