import Base

/// Runs schedules of one tier.
package struct Simulation: Sendable {
    package enum Tier: String, Sendable, CaseIterable {
        /// The shipped state machines under a model of what stands between them.
        case machines
        /// The shipped services on real SQL.
        case services
    }

    /// A schedule that broke a rule.
    package struct Failure: Error, Sendable {
        package var seed: UInt64
        package var without: Set<Int>
        package var breach: Breach
        package var events: Int
    }

    package let tier: Tier
    package var bugs: Set<Bug> = []

    package init(_ tier: Tier, bugs: Set<Bug> = []) {
        self.tier = tier
        self.bugs = bugs
    }

    /// One schedule. Throws `Failure`.
    package func run(
        seed: UInt64,
        without: Set<Int> = [],
        into coverage: inout Coverage,
        tracer: ((String) -> Void)? = nil
    ) throws {
        let plan = Plan(seed: seed, without: without)
        guard !plan.orders.isEmpty else { return }
        let world = try makeWorld(plan, tracer)
        do {
            try world.run()
        } catch let breach as Breach {
            tracer?("BREACH \(breach)")
            throw Failure(seed: seed, without: without, breach: breach, events: world.events)
        }
        coverage.add(world.coverage)
    }

    private func makeWorld(_ plan: Plan, _ tracer: ((String) -> Void)?) throws -> World {
        World(plan, bugs: bugs, tracer: tracer) { MachineServer($0) }
    }

    /// The same rule broken by as few parts of the plan as can be found by leaving out one after the other.
    package func shrink(_ failure: Failure) -> Failure {
        var least = failure
        var isSmaller = true
        while isSmaller {
            isSmaller = false
            for part in Plan(seed: least.seed, without: least.without).parts {
                var unused = Coverage()
                do {
                    try run(seed: least.seed, without: least.without.union([part]), into: &unused)
                } catch let smaller as Failure where smaller.breach.rule == failure.breach.rule {
                    least = smaller
                    isSmaller = true
                } catch {}
            }
        }
        return least
    }
}
