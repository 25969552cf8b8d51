import Base
import Domain
import Glibc
import TestSupport
import Testing
import WorkerProtocol

/// The worker's files are damaged, or its disk is full.
@Suite struct BrokenSpoolTests {
    /// Kills the worker and damages what it knows of a stream before its successor looks.
    private static func damage(_ place: WorkerFixture, _ id: ExecutionID) throws {
        kill(place.holderPID, SIGSTOP)
        kill(try place.workerPID(), SIGKILL)
        try place.directory.write("rubbish", to: "state/output/\(id)/1/stdout/checkpoint")
        kill(place.holderPID, SIGCONT)
    }

    @Test func `damaged output ends its run by name, with its process, and no other`() async throws {
        let place = try await WorkerFixture()
        let (id, other): (ExecutionID, ExecutionID) = (place.ids.make(), place.ids.make())
        try await place.server.send(place.assignment(id, command: ["sh", "-c", "echo $$; exec sleep 300"]))
        let script = "echo up; while [ ! -e go ]; do sleep 0.01; done; echo done"
        try await place.server.send(place.assignment(other, command: ["sh", "-c", script]))
        try await place.server.bytes(id, atLeast: 2)
        try await place.server.bytes(other, atLeast: 3)
        let pid = try #require(await pid_t(place.server.text(id).dropLast()))
        try Self.damage(place, id)
        let report = try await place.server.report(id)
        #expect(report.outcome == .failed)
        #expect(report.failure?.code == .internal)
        #expect(report.failure?.message == "a spool's checkpoint is damaged")
        #expect(kill(pid, 0) != 0, "its process is gone")
        try place.directory.write("", to: "state/tmp/berth-\(other)-1/go")
        #expect(try await place.server.report(other).outcome == .completed)
        #expect(await place.server.text(other) == "up\ndone\n")
    }

    @Test func `the end of a run is told although its output was damaged afterwards`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        let script = "echo before; while [ ! -e go ]; do sleep 0.01; done; exit 5"
        try await place.server.send(place.assignment(id, command: ["sh", "-c", script]))
        try await place.server.bytes(id, atLeast: 7)
        await place.server.stop()
        try place.directory.write("", to: "state/tmp/berth-\(id)-1/go")
        try await place.waitForEnd(id)
        try Self.damage(place, id)
        try await place.server.start()
        #expect(try await place.server.report(id).exitCode == 5)
        #expect(try await place.run("echo", "next").1.outcome == .completed)
    }

    /// 60 KB, many pages, in three seconds.
    private static let counting = "i=0; while [ $i -lt 300 ]; do printf '%0200d\\n' $i; i=$((i+1)); sleep 0.01; done"
    private static let counted = (0..<300).map { number in
        String(repeating: "0", count: 200 - "\(number)".count) + "\(number)\n"
    }
    .joined()

    /// Returns once the worker has found no room.
    private static func fill(_ place: WorkerFixture) async throws {
        let file = place.directory.file("state/fill")
        try await check(inside(place) + ["sh", "-c", "cat /dev/zero >'\(file)' 2>/dev/null; test -s '\(file)'"])
        try await place.until("there is no room") { place.log.contains("no room for output") }
    }

    private static func inside(_ place: WorkerFixture) -> [String] { ["nsenter", "-m", "-t", "\(place.holderPID)"] }

    @Test(.enabled(if: geteuid() == 0)) func `a disk that is full for a while costs a run nothing`() async throws {
        let place = try await WorkerFixture(disk: "16m")
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", Self.counting]))
        try await place.server.bytes(id, atLeast: 50)
        try await Self.fill(place)
        try await check(Self.inside(place) + ["rm", place.directory.file("state/fill")])
        let report = try await place.server.report(id)
        #expect(report.outcome == .completed)
        #expect(await place.server.text(id) == Self.counted)
        #expect(try await place.run("echo", "next").1.outcome == .completed)
    }
}
