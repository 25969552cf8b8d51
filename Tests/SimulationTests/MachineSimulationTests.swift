import Simulation
import Testing

@Suite struct MachineSimulationTests {
    @Test func `the machines keep every rule`() throws {
        var coverage = Coverage()
        for seed in 1...50 { try Simulation(.machines).run(seed: UInt64(seed), into: &coverage) }
        #expect(coverage.schedules == 50)
    }
}
