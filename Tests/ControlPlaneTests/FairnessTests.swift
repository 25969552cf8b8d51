import Base
import Database
import Domain
import Testing
import WorkerProtocol

@testable import Executions
@testable import Workers

@Suite struct FairnessTests {
    /// Rows like that of `id`, queued after it.
    private static func copies(_ count: Int, of id: ExecutionID, needs: String?, _ plane: ControlPlane) async throws {
        let ids: [ExecutionID] = (0..<count).map { _ in plane.ids.make() }
        try await plane.database.write { connection in
            for copy in ids {
                try connection.run(
                    """
                    INSERT INTO executions (id, organization_id, owner_id, agent, state, spec, created_at,
                        state_entered_at, deadline_at, needs)
                    SELECT $1, organization_id, owner_id, agent, state, spec, created_at, state_entered_at, deadline_at,
                        COALESCE($3, needs)
                    FROM executions WHERE id = $2
                    """,
                    copy,
                    id,
                    needs
                )
            }
        }
    }

    /// A second organization with a user of its own.
    private static func neighbour(_ plane: ControlPlane) async throws -> (OrganizationID, UserID) {
        let (organization, user): (OrganizationID, UserID) = (plane.ids.make(), plane.ids.make())
        try await plane.database.write { connection in
            try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'other', 0)", organization)
            try connection.run("INSERT INTO users (id, name, created_at) VALUES ($1, 'other', 0)", user)
            try connection.run("INSERT INTO feed (organization_id, seq) VALUES ($1, 0)", organization)
        }
        return (organization, user)
    }

    @Test func `an organization's one execution does not wait for another's ten thousand`() async throws {
        try await ControlPlane.with { plane in
            let first = try await plane.executions.create(plane.command("true")).execution.id
            try await Self.copies(9_999, of: first, needs: nil, plane)
            let (organization, user) = try await Self.neighbour(plane)
            let request = NewExecution(
                organizationID: organization,
                ownerID: user,
                environmentID: nil,
                spec: ExecutionSpec(agent: .command),
                command: ["true"]
            )
            let theirs = try await plane.executions.create(request).execution
            #expect(theirs.state == .queued)
            let mine = try await plane.standingWorker(slots: 1)
            #expect(try await mine.assignment().executionId == first.text)
            let worker = ScriptedWorker(
                plane.workers,
                WorkerIdentity(organizationID: organization, ownerID: nil, place: .alone)
            )
            try await worker.register(name: "theirs", slots: 1)
            #expect(try await worker.assignment().executionId == theirs.id.text)
        }
    }

    @Test func `what no worker can do holds up nothing that one can`() async throws {
        try await ControlPlane.with { plane in
            var request = plane.command("train")
            request.spec.capabilities = ["gpu"]
            let demanding = try await plane.executions.create(request).execution.id
            try await Self.copies(2_000, of: demanding, needs: nil, plane)
            let plain = try await plane.executions.create(plane.command("true")).execution.id
            let worker = try await plane.standingWorker(slots: 2)
            #expect(try await worker.assignment().executionId == plain.text)
        }
    }

    @Test func `the queue is looked at again after 5 s without a worker, 10 s when all are busy, and in time`() {
        func pause(_ isAtCapacity: Bool, _ next: Duration?) -> Duration {
            DispatchPlan.pause(isWaiting: true, isAtCapacity: isAtCapacity, until: next)
        }
        #expect(pause(false, nil) == .seconds(5))
        #expect(pause(true, nil) == .seconds(10))
        #expect(pause(true, .seconds(3)) == .seconds(3))
        #expect(pause(false, .seconds(-1)) == .zero)
        #expect(DispatchPlan.pause(isWaiting: false, isAtCapacity: true, until: nil) == .seconds(3600))
    }

    @Test func `all are busy only when somebody is there`() async throws {
        try await ControlPlane.with { plane in
            #expect(!plane.registry.isAtCapacity)
            let worker = try await plane.standingWorker(slots: 1)
            #expect(!plane.registry.isAtCapacity)
            _ = try await plane.executions.create(plane.command("true"))
            let key = try await worker.assignment().key
            #expect(plane.registry.isAtCapacity)
            try await worker.complete(key, ExecutionServiceTests.report())
            #expect(!plane.registry.isAtCapacity)
        }
    }
}
