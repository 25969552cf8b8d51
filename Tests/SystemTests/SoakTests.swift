import TestSupport
import Testing

@Suite struct SoakTests {
    /// `make soak` does the same with ten times the clients, and waits for the long deadlines too.
    @Test func `idle, slow and hostile clients leave memory and other clients alone`() async throws {
        let package = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let programs = try ProgramLocation.shipped("berth").dropLast("/berth".count)
        let result = try await run(
            ["python3", "\(package)/Tests/Soak/soak.py", "--small"],
            environment: ChildProcess.plainEnvironment.merging(["BERTH_BIN": String(programs)]) { $1 },
            within: .seconds(180)
        )
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
    }
}
