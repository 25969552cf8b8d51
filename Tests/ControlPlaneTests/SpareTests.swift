import Base
import Database
import Domain
import Environments
import Executions
import Synchronization
import Testing

@Suite struct SpareTests {
    private struct Row: Sendable, Equatable {
        var id: EnvironmentID
        var state: String
    }

    /// The spares as their rows tell.
    private func spares(_ plane: ControlPlane) async throws -> [Row] {
        try await plane.database.read { connection in
            try connection.rows(
                "SELECT id, observed_state FROM environments WHERE spare_key IS NOT NULL AND deleted_at IS NULL ORDER BY id"
            ).map { Row(id: try $0.id("id"), state: try $0.text("observed_state")) }
        }
    }

    /// The spares once as many as wanted run, and no others are left.
    @discardableResult
    private func spares(_ plane: ControlPlane, running count: Int, without gone: [EnvironmentID] = []) async throws
        -> [EnvironmentID]
    {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "\(count) spares") {
            while true {
                let position = try await plane.feed.position(plane.organization)
                let rows = try await spares(plane)
                if rows.count == count, rows.allSatisfy({ $0.state == "running" && !gone.contains($0.id) }) {
                    return rows.map(\.id)
                }
                try await plane.feed.waitForEvent(plane.organization, after: position)
            }
        }
    }

    private func create(_ plane: ControlPlane, _ name: String? = nil) async throws -> EnvironmentRecord {
        try await plane.environments.create(NewEnvironmentFixture.make(plane, name: name))
    }

    @Test func `a claim is an environment that runs at once, and another machine takes its place`() async throws {
        try await ControlPlane.with(spares: 2) { plane in
            let waiting = try await spares(plane, running: 2)
            let record = try await create(plane, "box")
            #expect(record.state == .running)
            #expect(record.ownerID == plane.user)
            #expect(record.name == "box")
            #expect(record.hostname == "env-\(record.id.text.suffix(6))", "nothing inside is renamed")
            #expect(waiting.contains(record.id))
            let listed = try await plane.environments.list(plane.organization, visibleTo: plane.user)
            #expect(listed.map(\.id) == [record.id])
            let log = try await plane.environments.provisioningLog(
                record.id,
                organization: plane.organization,
                visibleTo: plane.user
            ).entries
            #expect(log.map(\.message) == ["running: a machine that waited was taken"])
            try await spares(plane, running: 2, without: [record.id])
            let execution = try await plane.executions.create(plane.command("true", environment: record.id)).execution
            let assigned = try await plane.execution(execution.id) { $0.state == .assigned }
            #expect(assigned.environmentID == record.id)
        }
    }

    @Test func `one whose worker refuses is never handed out`() async throws {
        try await ControlPlane.with(spares: 2) { plane in
            let waiting = try await spares(plane, running: 2)
            plane.claims.say(.no("its disk is broken"))
            let record = try await create(plane)
            #expect(record.state == .running)
            let broken = try #require(waiting.first { $0 != record.id })
            #expect(waiting.contains(record.id))
            try await spares(plane, running: 2, without: waiting)
            #expect(plane.instances.condition(broken) == nil)
        }
    }

    @Test func `with none left it starts cold`() async throws {
        try await ControlPlane.with(spares: 1) { plane in
            try await spares(plane, running: 1)
            plane.claims.say(.no("broken"))
            let cold = try await create(plane)
            #expect(cold.state == .requested)
            let settled = try await plane.environments.settled(
                cold.id,
                organization: plane.organization,
                within: .seconds(30)
            )
            #expect(settled.state == .running)
        }
    }

    @Test func `spares of another template go, and those of the new one come`() async throws {
        try await ControlPlane.with(spares: 2) { plane in
            let old = try await spares(plane, running: 2)
            plane.instances.state.withLock { $0.template = "second" }
            try await plane.environments.fillPool()
            try await spares(plane, running: 2, without: old)
            for id in old { #expect(plane.instances.condition(id) == nil) }
        }
    }

    @Test func `a spare is nobody's`() async throws {
        try await ControlPlane.with(spares: 1) { plane in
            let id = try #require(try await spares(plane, running: 1).first)
            #expect(try await plane.environments.list(plane.organization, visibleTo: nil).isEmpty)
            let error = await #expect(throws: BerthError.self) {
                try await plane.environments.get(id, organization: plane.organization, visibleTo: plane.user)
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test func `a name that is taken costs no spare`() async throws {
        try await ControlPlane.with(spares: 1) { plane in
            try await spares(plane, running: 1)
            let first = try await create(plane, "box")
            let waiting = try await spares(plane, running: 1, without: [first.id])
            let error = await #expect(throws: BerthError.self) { try await create(plane, "box") }
            #expect(error?.code == .conflict)
            #expect(error?.field == "name")
            #expect(try await create(plane, "other").id == waiting.first)
        }
    }

    @Test func `as many claims as there are spares at once get one each`() async throws {
        try await ControlPlane.with(spares: 12) { plane in
            let waiting = try await spares(plane, running: 12)
            let claimed = try await withThrowingTaskGroup(of: EnvironmentRecord.self) { group in
                for _ in waiting { group.addTask { try await create(plane) } }
                var all: [EnvironmentRecord] = []
                for try await record in group { all.append(record) }
                return all
            }
            #expect(claimed.allSatisfy { $0.state == .running })
            #expect(claimed.map(\.id).sorted() == waiting)
        }
    }

    @Test func `one that died is replaced`() async throws {
        try await ControlPlane.with(spares: 1) { plane in
            let id = try #require(try await spares(plane, running: 1).first)
            plane.instances.set(id, .stopped)
            try await plane.environments.reconcile()
            try await spares(plane, running: 1, without: [id])
        }
    }

    @Test func `whose tier grants less than was asked for gets a spare of that size, and both are shown`() async throws
    {
        try await ControlPlane.with(spares: 1, capacity: CapacityRules(tier: .free)) { plane in
            let waiting = try await spares(plane, running: 1)
            var request = NewEnvironmentFixture.make(plane)
            var asked = Tier.pro.limits
            asked.processes = ResourceLimits.standard.processes
            request.spec.limits = asked
            let record = try await plane.environments.create(request)
            #expect(record.state == .running)
            #expect(waiting == [record.id])
            #expect(record.spec.limits == .standard)
            #expect(record.requested == asked)
        }
    }

    @Test func `what no spare is like starts cold`() async throws {
        try await ControlPlane.with(spares: 1) { plane in
            try await spares(plane, running: 1)
            var request = NewEnvironmentFixture.make(plane)
            request.spec.limits.memoryBytes = 1 << 30
            #expect(try await plane.environments.create(request).state == .requested)
        }
    }
}
