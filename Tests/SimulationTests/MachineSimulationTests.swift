import Simulation
import Testing

@Suite struct MachineSimulationTests {
    @Test func `the machines keep every rule through every fault`() throws {
        var coverage = Coverage()
        let simulation = try Simulation(.machines)
        for seed in 1...300 as ClosedRange<UInt64> { try simulation.run(seed: seed, into: &coverage) }
        #expect(coverage.schedules == 300)
        #expect(coverage.fewestEvents >= 200)
        #expect(coverage.counts.allSatisfy { $0.reduce(0, +) > 0 }, "a fault never came")
    }

    @Test func `a seed repeats its schedule to the letter`() throws {
        func trace(_ seed: UInt64) throws -> [String] {
            var lines: [String] = []
            var coverage = Coverage()
            try Simulation(.machines).run(seed: seed, into: &coverage) { lines.append($0) }
            return lines
        }
        for seed in [7, 8, 9] as [UInt64] { #expect(try trace(seed) == trace(seed)) }
        #expect(try trace(7) != trace(8))
    }

    /// The rule that each planted mistake breaks.
    @Test(arguments: Mistake.allCases)
    func `a planted mistake is caught`(_ mistake: Mistake) throws {
        let simulation = try Simulation(.machines, mistakes: [mistake])
        var coverage = Coverage()
        for seed in 1...2000 as ClosedRange<UInt64> {
            do {
                try simulation.run(seed: seed, into: &coverage)
            } catch let failure as Simulation.Failure {
                #expect(mistake.rules.contains(failure.breach.rule), "\(failure.breach)")
                return
            }
        }
        Issue.record("2000 schedules did not catch \(mistake.rawValue)")
    }

    @Test func `a failure is shrunk to the parts that it needs`() throws {
        let simulation = try Simulation(.machines, mistakes: [.neverFencesItself])
        var coverage = Coverage()
        let failure = try #require(
            throws: Simulation.Failure.self,
            performing: {
                for seed in 1...2000 as ClosedRange<UInt64> { try simulation.run(seed: seed, into: &coverage) }
            }
        )
        let least = simulation.shrink(failure)
        #expect(least.breach.rule == failure.breach.rule)
        #expect(Plan(seed: least.seed, without: least.without).parts.count <= 6)
        var unused = Coverage()
        #expect(throws: Simulation.Failure.self) {
            try simulation.run(seed: least.seed, without: least.without, into: &unused)
        }
    }
}

extension Mistake {
    fileprivate var rules: [String] {
        switch self {
        case .dropTheFence:
            [
                "a worker drops what the server has recorded", "a completed run has exited with 0",
                "the end comes after its output", "a mark tells what was written",
                "a process does not outlive its execution", "stored output is what the process wrote",
            ]
        case .acknowledgeBeforeStoring: ["the end comes after its output", "stored output is what the process wrote"]
        case .forgetToSync:
            ["an end is recorded once", "an attempt starts once", "an accepted cancel wins", "attempts never overlap"]
        case .reuseAttemptNumber: ["an attempt starts once", "attempts never overlap"]
        case .deadlineNotRearmed: ["everything ends once the faults have stopped"]
        case .dedupeByExecution: ["stored output is what the process wrote", "the end comes after its output"]
        case .endAcceptedTwice: ["an end is recorded once"]
        case .resumeFromWrongOffset:
            ["everything ends once the faults have stopped", "stored output is what the process wrote"]
        case .cancelLostOnReconnect: ["a cancel reaches a worker that is there"]
        case .retryAfterStart: ["what has started is run again only by its policy"]
        case .slotLeaked: ["slots come back", "everything ends once the faults have stopped"]
        case .neverFencesItself: ["attempts never overlap"]
        }
    }
}
