import Base
import Domain
import Testing

@testable import Executions

@Suite struct DispatchPlanTests {
    private static let ids = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 11))
    private let organizations: [OrganizationID] = (0..<3).map { _ in ids.make() }
    private let environment: EnvironmentID = ids.make()

    private func wanted(
        _ organization: Int,
        environment: EnvironmentID? = nil,
        agent: AgentKind = .command,
        needs: [String] = []
    ) -> DispatchPlan.Wanted {
        DispatchPlan.Wanted(
            id: Self.ids.make(),
            organizationID: organizations[organization],
            environmentID: environment,
            agent: agent,
            capabilities: needs
        )
    }

    private func worker(
        _ organization: Int,
        slots: Int,
        environment: EnvironmentID? = nil,
        has: [String] = [],
        speaks: Int? = 1
    ) -> WorkerCandidate {
        WorkerCandidate(
            workerID: Self.ids.make(),
            organizationID: organizations[organization],
            environmentID: environment,
            instance: nil,
            capabilities: has,
            protocolVersion: speaks,
            freeSlots: slots
        )
    }

    @Test func `nothing crosses from one organization or environment to another`() {
        let queued = [wanted(0), wanted(1, environment: environment)]
        #expect(DispatchPlan.match(queued, [worker(2, slots: 9)]).isEmpty)
        #expect(DispatchPlan.match(queued, [worker(0, slots: 9, environment: environment)]).isEmpty)
        #expect(DispatchPlan.match(queued, [worker(1, slots: 9, environment: environment)]).count == 1)
    }

    @Test func `slots are not overbooked and the oldest goes first`() {
        let queued = (0..<5).map { _ in wanted(0) }
        let matches = DispatchPlan.match(queued.reversed(), [worker(0, slots: 2), worker(0, slots: 1)])
        #expect(matches.map(\.execution) == queued.map(\.id).sorted().prefix(3).map { $0 })
        #expect(Set(matches.map(\.worker)).count == 2)
    }

    @Test func `organizations take turns`() {
        let queued = (0..<4).map { _ in wanted(0) } + (0..<2).map { _ in wanted(1) }
        let matches = DispatchPlan.match(queued, [worker(0, slots: 9), worker(1, slots: 9)])
        let order = matches.map { match in queued.first { $0.id == match.execution }?.organizationID }
        #expect(Set(order.prefix(2)).count == 2)
        #expect(matches.count == 6)
    }

    @Test func `what a worker cannot do is not given to it`() {
        let special = wanted(0, needs: ["gpu"])
        #expect(DispatchPlan.match([special], [worker(0, slots: 1, has: ["git"])]).isEmpty)
        #expect(DispatchPlan.match([special], [worker(0, slots: 1, has: ["gpu"])]).count == 1)
        #expect(DispatchPlan.match([wanted(0)], [worker(0, slots: 1, speaks: nil)]).isEmpty)
        #expect(DispatchPlan.match([wanted(0, agent: .claude)], [worker(0, slots: 1, speaks: nil)]).count == 1)
    }

    @Test func `one that nobody can take does not hold up the next`() {
        let queued = [wanted(0, needs: ["gpu"]), wanted(0)]
        #expect(DispatchPlan.match(queued, [worker(0, slots: 1)]).map(\.execution) == [queued[1].id])
    }
}
