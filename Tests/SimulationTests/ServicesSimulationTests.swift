import Simulation
import Testing

@Suite struct ServicesSimulationTests {
    @Test func `the services keep every rule through every fault`() throws {
        var coverage = Coverage()
        let simulation = try Simulation(.services)
        for seed in 1...25 as ClosedRange<UInt64> { try simulation.run(seed: seed, into: &coverage) }
        #expect(coverage.schedules == 25)
    }

    /// Schedules that the services once failed: a worker that came back between the commit of its assignment and the
    /// sending was given it over the new connection, although its hello had settled that it has it not; what ended
    /// between the answer to a hello and the connection's registration kept its slot, or was never forgotten; a time limit
    /// that passed between the commit of an assignment and its sending left the worker with what nobody would forget.
    @Test(
        arguments: [
            5_000_960, 5_006_477, 5_011_394, 5_011_567, 5_013_637, 5_016_805, 5_017_901, 5_034_296, 5_046_546,
        ] as [UInt64]
    )
    func `what was once found stays mended`(_ seed: UInt64) throws {
        var coverage = Coverage()
        try Simulation(.services).run(seed: seed, into: &coverage)
        #expect(coverage.schedules == 1)
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

    /// Planted around the shipped services, in the store, the registry, the bridge or the worker; from a seed that is near
    /// the schedule which catches it.
    @Test(
        arguments: [
            (Mistake.acknowledgeBeforeStoring, 248), (.deadlineNotRearmed, 5), (.dedupeByExecution, 1),
            (.resumeFromWrongOffset, 1), (.slotLeaked, 1), (.neverFencesItself, 160), (.forgetToSync, 30),
            (.retryAfterStart, 1), (.cancelLostOnReconnect, 40),
        ] as [(Mistake, UInt64)]
    )
    func `a planted mistake is caught`(_ mistake: Mistake, from seed: UInt64) throws {
        let simulation = try Simulation(.services, mistakes: [mistake])
        var coverage = Coverage()
        #expect(throws: Simulation.Failure.self, "500 schedules did not catch \(mistake.rawValue)") {
            for seed in seed..<seed + 500 { try simulation.run(seed: seed, into: &coverage) }
        }
    }
}
