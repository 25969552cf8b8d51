import Base
import TestSupport
import Testing

/// A worker shares the processor cap of its environment with whatever runs there.
@Suite struct StarvedWorkerTests {
    /// Longer than a heartbeat.
    private static let seconds = 40

    @Test func `a worker starved of processor time keeps its lease and its run`() async throws {
        try await withServer { berth, _ in
            let made = try await berth.run(["env", "create", "box", "--cpus", "0.1", "--processes", "256"])
            #expect(made.status == 0, "\(made.errors)")
            let spin = "import time; end = time.time() + \(Self.seconds)\nwhile time.time() < end: pass"
            let crowd = "for i in $(seq 40); do python3 -c '\(spin)' & done; wait; echo through"
            let result = try await berth.run(["exec", "-e", "box", "--", "sh", "-c", crowd], within: .seconds(300))
            #expect(result.output == "through\n", "\(result.errors)")
            let ended = try await berth.newestExecution()
            #expect(ended["status"]?.string == "completed")
            #expect(ended["attempt"]?.integer == 1)
            let box = try await berth.json("env", "show", "box")
            #expect(box["status"]?.string == "running")
            #expect(box["instance"]?.integer == 1)
        }
    }
}
