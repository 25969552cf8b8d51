import Base
import Glibc
import HolderProtocol
import Subprocess
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct WorkerRestartTests {
    /// The lines of a file once there are `count`.
    private func lines(_ path: String, _ count: Int) async throws -> [String] {
        let time = SystemTime()
        let deadline = time.uptime + .seconds(10)
        while time.uptime < deadline {
            let file = open(path, O_RDONLY)
            if file >= 0 {
                var buffer = [UInt8](repeating: 0, count: 65536)
                let length = read(file, &buffer, buffer.count)
                close(file)
                let lines = String(decoding: buffer.prefix(max(0, length)), as: UTF8.self).split(separator: "\n")
                if lines.count >= count { return lines.map(String.init) }
            }
            try await time.wait(for: .milliseconds(2))
        }
        throw BerthError(.timedOut, "'\(path)' does not have \(count) lines")
    }

    @Test func `a killed worker is started again and its children live on`() async throws {
        let scratch = try TemporaryDirectory("worker")
        let log = scratch.file("log")
        let script = "echo $$ $BERTH_HOLD_SOCKET $0 >> '\(log)'; exec sleep 1000"
        let holder = try HolderFixture(["--worker", "/bin/sh", "-c", script, "argument"])
        let client = try await holder.connect()
        let child = try await client.spawn(.shell("live:1", "exec sleep 1000"))
        guard case .running(let pid) = child.status.state else { throw BerthError(.internal, "not running") }
        for count in 1...4 {
            let line = try await lines(log, count)[count - 1].split(separator: " ")
            #expect(line.dropFirst() == ["\(holder.socketPath)", "argument"])
            kill(try #require(Int32(line[0])), SIGKILL)
        }
        #expect(isAlive(pid))
        await client.close()
    }

    @Test func `the worker ends with the holder, after the children`() async throws {
        let scratch = try TemporaryDirectory("worker")
        let log = scratch.file("log")
        let script = "trap 'echo told >> \"\(log)\"; exit' TERM; echo $$ >> '\(log)'; while :; do sleep 0.01; done"
        let pid: Int32
        do {
            let holder = try HolderFixture(["--worker", "/bin/sh", "-c", script])
            pid = try #require(Int32(try await lines(log, 1)[0]))
            withExtendedLifetime(holder) {}
        }
        #expect(try await lines(log, 2) == ["\(pid)", "told"])
        #expect(try await areGone([pid]))
    }
}
