import Base
import OpenSSL

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
    /// Of the services' tier: one per simulation, used by one thread at a time.
    private let store: ScheduleStore?
    package var mistakes: Set<Mistake> = []

    package init(_ tier: Tier, mistakes: Set<Mistake> = []) throws {
        self.tier = tier
        self.mistakes = mistakes
        store = tier == .services ? try ScheduleStore() : nil
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
        guard let store else {
            return try run(World(plan, mistakes: mistakes, tracer: tracer) { MachineServer($0) }, into: &coverage)
        }
        try store.begin()
        defer { store.rollBack() }
        let world = World(plan, mistakes: mistakes, digest: Self.digest, tracer: tracer) { ServicesServer($0, store) }
        defer { (world.server as? ServicesServer)?.end() }
        try run(world, into: &coverage)
    }

    private func run(_ world: World, into coverage: inout Coverage) throws {
        do {
            try world.run()
        } catch let breach as Breach {
            world.trace("BREACH \(breach)")
            throw Failure(seed: world.plan.seed, without: world.plan.without, breach: breach, events: world.events)
        }
        coverage.add(world.coverage)
    }

    private static func digest(_ bytes: [UInt8]) -> String { Hex.encode(SHA256.hash(bytes)) }

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
