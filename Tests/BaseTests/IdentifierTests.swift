import Base
import FoundationEssentials
import Testing

@Suite struct IdentifierTests {
    private func source(at milliseconds: Int64, seed: UInt64 = 1) -> IDSource {
        IDSource(time: FixedTime(milliseconds: milliseconds), randomness: SeededRandomness(seed: seed))
    }

    @Test func `ids made later sort later as text`() {
        let ids = (0..<100).map { source(at: 1_700_000_000_000 + $0, seed: UInt64($0)).make(ExecutionKind.self) }
        #expect(ids.map(\.text) == ids.map(\.text).sorted())
    }

    @Test func `the same seed makes the same ids`() {
        let first = source(at: 5).make(EnvironmentKind.self)
        let second = source(at: 5).make(EnvironmentKind.self)
        #expect(first == second)
    }

    @Test(arguments: [
        "", "exec", "exec_", "env_01jd0000000000000000000000", "exec_01jd000000000000000000000",
        "exec_01JD0000000000000000000000", "exec_01jd00000000000000000000/0", "exec_../../../../../etc/passwd0",
    ])
    func `anything but the exact form is refused`(text: String) {
        #expect(throws: BerthError.self) { try ExecutionID(text) }
    }

    @Test func `an id survives JSON and a foreign kind does not`() throws {
        let id = source(at: 1_700_000_000_000).make(ExecutionKind.self)
        let data = try JSONEncoder().encode([id])
        #expect(try JSONDecoder().decode([ExecutionID].self, from: data) == [id])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([WorkspaceID].self, from: data) }
    }
}

/// A clock that stands still.
struct FixedTime: TimeSource {
    var milliseconds: Int64

    var now: Timestamp { Timestamp(milliseconds: milliseconds) }
    var uptime: Uptime { Uptime(nanoseconds: UInt64(milliseconds) * 1_000_000) }
    func wait(until _: Uptime) async throws { try Task.checkCancellation() }
}
