import Base
import Database
import Domain
import Synchronization
import Testing

@testable import Environments

/// Snapshots, forks and the way back, with a provider that a test scripts.
@Suite struct SnapshotTests {
    private static func with(
        tier: Tier = .unlimited,
        _ body: @escaping @Sendable (ControlPlane, EnvironmentRecord) async throws -> Void
    ) async throws {
        try await ControlPlane.with(capacity: CapacityRules(tier: tier)) { plane in
            plane.instances.state.withLock { $0.canSnapshot = true }
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane, name: "source")).id
            let source = try await settled(plane, id)
            #expect(source.state == .running)
            try await body(plane, source)
        }
    }

    private static func settled(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> EnvironmentRecord {
        try await plane.environments.settled(id, organization: plane.organization, within: .seconds(30))
    }

    private static func snapshot(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> SnapshotRecord {
        let made = try await plane.environments.snapshot(
            id,
            organization: plane.organization,
            by: plane.user,
            visibleTo: plane.user
        )
        return try await became(plane, made) { $0 != .making } ?? made
    }

    /// nil: it has no row any more.
    private static func became(
        _ plane: ControlPlane,
        _ snapshot: SnapshotRecord,
        _ isIt: @escaping @Sendable (SnapshotState?) -> Bool
    ) async throws -> SnapshotRecord? {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the snapshot") {
            while true {
                let all = try await plane.environments.snapshots(
                    of: snapshot.environmentID,
                    organization: plane.organization,
                    visibleTo: plane.user
                )
                let found = all.first { $0.id == snapshot.id }
                if isIt(found?.state) { return found }
                await Task.yield()
            }
        }
    }

    private static func fork(_ plane: ControlPlane, _ id: EnvironmentID, from snapshot: SnapshotID? = nil)
        async throws -> EnvironmentRecord
    {
        try await plane.environments.fork(
            id,
            from: snapshot,
            name: nil,
            organization: plane.organization,
            by: plane.user,
            visibleTo: plane.user
        )
    }

    private static func restore(_ plane: ControlPlane, _ id: EnvironmentID, to snapshot: SnapshotID? = nil)
        async throws -> EnvironmentRecord
    {
        try await plane.environments.restore(
            id,
            to: snapshot,
            organization: plane.organization,
            by: plane.user,
            visibleTo: plane.user
        )
    }

    @Test func `a snapshot is made by its job, and a fork goes on from it with a row of its own`() async throws {
        try await Self.with { plane, source in
            let snapshot = try await Self.snapshot(plane, source.id)
            #expect(snapshot.state == .ready)
            #expect(snapshot.instance == 1)
            let fork = try await Self.settled(plane, try await Self.fork(plane, source.id, from: snapshot.id).id)
            #expect(fork.state == .running)
            #expect(fork.id != source.id && fork.name != source.name)
            #expect(fork.spec == source.spec)
            #expect(fork.originSnapshotID == nil, "it is made")
            #expect(plane.instances.state.withLock { $0.origins[fork.id] } == snapshot.id)
            #expect(plane.instances.calls.count { $0 == "create" } == 1)
            let usage = try await plane.environments.quota(plane.organization, user: plane.user)
            #expect(usage.environments == 2)
        }
    }

    @Test func `a fork of what runs takes a snapshot for itself, which goes when the fork is made`() async throws {
        try await Self.with { plane, source in
            let fork = try await Self.settled(plane, try await Self.fork(plane, source.id).id)
            #expect(fork.state == .running)
            let (organization, user) = (plane.organization, plane.user)
            let kept = try await plane.environments.snapshots(
                of: source.id,
                organization: organization,
                visibleTo: user
            )
            let made = try #require(kept.first)
            #expect(made.isTransient)
            try await plane.environments.reconcile()
            #expect(try await Self.became(plane, made) { $0 == nil } == nil)
            #expect(plane.instances.state.withLock { $0.snapshots.isEmpty })
        }
    }

    @Test func `a fork over the quota is refused before anything is kept`() async throws {
        try await ControlPlane.with(capacity: CapacityRules(tier: .free)) { plane in
            plane.instances.state.withLock { $0.canSnapshot = true }
            var request = NewEnvironmentFixture.make(plane, name: "source")
            request.spec.limits = Tier.free.granting(request.spec.limits, on: nil)
            let id = try await plane.environments.create(request).id
            #expect(try await Self.settled(plane, id).state == .running)
            let places = try #require(Tier.free.maximumEnvironments)
            for _ in 1..<places { _ = try await plane.environments.create(NewEnvironmentFixture.make(plane)) }
            let error = await #expect(throws: BerthError.self) { try await Self.fork(plane, id) }
            #expect(error?.code == .quotaExceeded)
            #expect(!plane.instances.calls.contains("snapshot"))
            let usage = try await plane.environments.quota(plane.organization, user: plane.user)
            #expect(usage.environments == places)
        }
    }

    @Test func `going back ends what runs and boots out of the snapshot`() async throws {
        try await Self.with { plane, source in
            let snapshot = try await Self.snapshot(plane, source.id)
            let (organization, user) = (plane.organization, plane.user)
            let accepted = try await Self.restore(plane, source.id)
            #expect(accepted.restoreSnapshotID == snapshot.id)
            #expect(accepted.desired == .running)
            let error = await #expect(throws: BerthError.self) {
                try await plane.environments.removeSnapshot(
                    snapshot.id,
                    of: source.id,
                    organization: organization,
                    by: user,
                    visibleTo: user
                )
            }
            #expect(error?.code == .conflict)
            let back = try await Self.settled(plane, source.id)
            #expect(back.state == .running)
            #expect(back.instance == 2)
            #expect(back.restoreSnapshotID == nil)
            #expect(plane.instances.calls.suffix(3) == ["stop", "restore", "start"])
            _ = try await plane.environments.removeSnapshot(
                snapshot.id,
                of: source.id,
                organization: organization,
                by: user,
                visibleTo: user
            )
            #expect(try await Self.became(plane, snapshot) { $0 == nil } == nil)
            #expect(plane.instances.state.withLock { $0.snapshots.isEmpty })
        }
    }

    @Test func `one that cannot be made is recorded as failed with its cause, and so is a fork of it`() async throws {
        try await Self.with { plane, source in
            plane.instances.fail("snapshot", times: 10)
            let snapshot = try await Self.snapshot(plane, source.id)
            #expect(snapshot.state == .failed)
            #expect(snapshot.failure?.message == "the provider broke at snapshot")
            let error = await #expect(throws: BerthError.self) {
                try await Self.fork(plane, source.id, from: snapshot.id)
            }
            #expect(error?.code == .conflict)
            let fork = try await Self.settled(plane, try await Self.fork(plane, source.id).id)
            #expect(fork.state == .error)
            #expect(fork.cause?.message.contains("the provider broke at snapshot") == true)
            #expect(try await Self.settled(plane, source.id).state == .running)
        }
    }

    @Test func `one that takes too long is given up by the reconciler`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false, connectsWorkers: false) { plane in
            plane.instances.state.withLock { $0.canSnapshot = true }
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await plane.database.write { connection in
                try connection.run(
                    "UPDATE environments SET observed_state = 'running', provider_instance_id = id WHERE id = $1",
                    id
                )
            }
            let made = try await plane.environments.snapshot(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            try await plane.database.write { try $0.run("DELETE FROM jobs WHERE subject = $1", made.id) }
            time.advance(SnapshotMachine.making + .seconds(1))
            try await plane.environments.reconcileSnapshots()
            let late = try #require(
                try await plane.environments.snapshots(of: id, organization: plane.organization, visibleTo: nil).first
            )
            #expect(late.state == .failed)
            #expect(late.failure?.code == .timedOut)
        }
    }

    @Test func `what its provider cannot do is refused by name`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, id).state == .running)
            let calls: [@Sendable () async throws -> Void] = [
                { _ = try await Self.snapshot(plane, id) }, { _ = try await Self.fork(plane, id) },
                { _ = try await Self.restore(plane, id) },
            ]
            for call in calls {
                let error = await #expect(throws: BerthError.self) { try await call() }
                #expect(error?.code == .unsupported)
                #expect(error?.message.contains("'local' cannot") == true)
            }
        }
    }

    @Test func `snapshots go with their environment, and foreign ones are not found`() async throws {
        try await Self.with { plane, source in
            let (organization, user) = (plane.organization, plane.user)
            let snapshot = try await Self.snapshot(plane, source.id)
            let other = try await Self.settled(
                plane,
                try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            )
            for call in [Self.fork, Self.restore] {
                let error = await #expect(throws: BerthError.self) { _ = try await call(plane, other.id, snapshot.id) }
                #expect(error?.code == .notFound)
            }
            _ = try await plane.environments.destroy(source.id, organization: organization, by: user, visibleTo: user)
            #expect(try await Self.settled(plane, source.id).state == .destroyed)
            try await plane.environments.reconcile()
            #expect(try await Self.became(plane, snapshot) { $0 == nil } == nil)
            #expect(plane.instances.state.withLock { $0.snapshots.isEmpty })
        }
    }
}
