import Simulation
import Testing

@Suite struct ServicesSimulationTests {
    @Test func `the services keep every rule through every fault`() throws {
        var coverage = Coverage()
        let simulation = try Simulation(.services)
        for seed in 1...25 as ClosedRange<UInt64> { try simulation.run(seed: seed, into: &coverage) }
        #expect(coverage.schedules == 25)
    }

    /// With every line of the services' own log.
    @Test func `a seed repeats its schedule to the letter`() throws {
        func trace(_ seed: UInt64) throws -> [String] {
            var lines: [String] = []
            var coverage = Coverage()
            try Simulation(.services).run(seed: seed, into: &coverage) { lines.append($0) }
            return lines
        }
        for seed in [4, 5, 6] as [UInt64] { #expect(try trace(seed) == trace(seed)) }
    }

    /// Planted around the shipped services, in the store, the registry or the worker.
    @Test(arguments: [
        Mistake.acknowledgeBeforeStoring, .deadlineNotRearmed, .dedupeByExecution, .resumeFromWrongOffset, .slotLeaked,
        .neverFencesItself,
    ])
    func `a planted mistake is caught`(_ mistake: Mistake) throws {
        let simulation = try Simulation(.services, mistakes: [mistake])
        var coverage = Coverage()
        #expect(throws: Simulation.Failure.self, "1000 schedules did not catch \(mistake.rawValue)") {
            for seed in 1...1000 as ClosedRange<UInt64> { try simulation.run(seed: seed, into: &coverage) }
        }
    }
}
