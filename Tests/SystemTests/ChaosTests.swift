import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// `make chaos` does the same fifty times over, with PostgreSQL; `CHAOS=--broker` with brokers too.
@Suite(.enabled(if: geteuid() == 0)) struct ChaosTests {
    @Test func `a dozen kills at random moments lose nothing and repeat nothing`() async throws {
        let package = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let programs = try ProgramLocation.shipped("berth").dropLast("/berth".count)
        let directory = try TemporaryDirectory("chaos")
        let result = try await run(
            [
                "python3", "\(package)/Tests/Chaos/chaos.py", "--kills", "12", "--streams", "8", "--environments", "2",
                "--lines", "1500", "--gap", "0.6", "--seconds", "60", "--seed", "12", "--json",
            ],
            environment: ChildProcess.plainEnvironment.merging(["BERTH_BIN": String(programs)]) { $1 },
            directory: directory.path,
            within: .seconds(300)
        )
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        let report = try JSONValue(parsing: Array(result.output.utf8.drop { $0 != UInt8(ascii: "{") }))
        #expect(report["violations"]?.array == [])
        #expect(report["kills"]?.integer ?? 0 >= 12)
        #expect(report["bytesCompared"]?.integer ?? 0 > 100_000)
    }
}
