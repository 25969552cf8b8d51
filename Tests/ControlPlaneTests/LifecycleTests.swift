import Base
import Database
import Domain
import Executions
import Jobs
import Synchronization
import Testing
import Workers

@testable import Environments

/// The failure catalogue: what hangs, dies or stays away.
@Suite struct LifecycleTests {
    private static func settled(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> EnvironmentRecord {
        try await plane.environments.settled(id, organization: plane.organization, within: .seconds(30))
    }

    @Test func `a destroy that hangs is an error, and force ends it without the provider`() async throws {
        let times = EnvironmentTimes(destroying: .milliseconds(300))
        try await ControlPlane.with(times: times) { plane in
            let (organization, user) = (plane.organization, plane.user)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, id).state == .running)
            plane.instances.hang("destroy")
            _ = try await plane.environments.destroy(id, organization: organization, by: user, visibleTo: user)
            let stuck = try await Self.settled(plane, id)
            #expect(stuck.state == .error)
            #expect(stuck.cause?.operation == .destroy)
            #expect(try await plane.environments.quota(organization, user: user).environments == 0)
            let gone = try await plane.environments.destroyByForce(
                id,
                organization: organization,
                by: user,
                visibleTo: user
            )
            #expect(gone.state == .destroyed)
            #expect(plane.instances.condition(id) != nil, "its provider did not answer")
            plane.instances.release("destroy")
            // What is left is removed when the provider answers again.
            try await plane.environments.reconcile()
            #expect(plane.instances.condition(id) == nil)
            let list = try await plane.environments.list(organization, visibleTo: user)
            #expect(list.isEmpty)
        }
    }

    @Test func `the history of one that is destroyed can be read, whatever else was recorded of it`() async throws {
        try await ControlPlane.with { plane in
            let (organization, user) = (plane.organization, plane.user)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, id).state == .running)
            _ = try await plane.feed.transaction(organization: organization) { transaction in
                transaction.record(NewEvent("worker.revoked", subject: id, ownerID: user, at: SystemTime().now))
            }
            _ = try await plane.environments.destroy(id, organization: organization, by: user, visibleTo: user)
            #expect(try await Self.settled(plane, id).state == .destroyed)
            let history = try await plane.environments.transitions(
                id,
                organization: organization,
                visibleTo: user,
                limit: 100
            )
            #expect(history.first?.state == .destroyed)
            #expect(history.allSatisfy { $0.type.hasPrefix("environment.") })
        }
    }

    @Test func `force ends one that is being made, and its turn finds nothing to do`() async throws {
        try await ControlPlane.with { plane in
            let (organization, user) = (plane.organization, plane.user)
            plane.instances.hang("create")
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the call") {
                while true {
                    let count = plane.instances.called.count
                    if plane.instances.calls.contains("create") { return }
                    try await plane.instances.called.wait(after: count)
                }
            }
            let gone = try await plane.environments.destroyByForce(
                id,
                organization: organization,
                by: user,
                visibleTo: user
            )
            #expect(gone.state == .destroyed)
            #expect(try await plane.environments.quota(organization, user: user).environments == 0)
            plane.instances.release("create")
        }
    }

    @Test func `an instance that dies before its worker is ready says what it died of`() async throws {
        try await ControlPlane.with(connectsWorkers: false) { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the start") {
                while plane.instances.condition(id) != .running {
                    let count = plane.instances.called.count
                    if plane.instances.condition(id) == .running { return }
                    try await plane.instances.called.wait(after: count)
                }
            }
            // A boot that the job is still at is the job's to judge.
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the end of the job") {
                while try await plane.jobs.isOpen(id.text) { await Task.yield() }
            }
            plane.instances.end(id, "its holder exited with status 3")
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the error") {
                while true {
                    try await plane.environments.reconcile()
                    let record = try await plane.environments.get(
                        id,
                        organization: plane.organization,
                        visibleTo: nil
                    )
                    if record.state == .error { return }
                }
            }
            let record = try await Self.settled(plane, id)
            #expect(record.cause?.code == .environmentLost)
            #expect(record.cause?.message.contains("its holder exited with status 3") == true)
            #expect(record.cause?.providerWords == "its holder exited with status 3")
        }
    }

    @Test func `a start that is asked for again starts nothing that has just died`() async throws {
        try await ControlPlane.with(connectsWorkers: false) { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the start") {
                while true {
                    let count = plane.instances.called.count
                    let isOpen = try await plane.jobs.isOpen(id.text)
                    if plane.instances.condition(id) == .running, !isOpen { return }
                    if !isOpen { try await plane.instances.called.wait(after: count) } else { await Task.yield() }
                }
            }
            plane.instances.end(id, "its holder was killed by signal 9")
            // As the next server does whose predecessor died in the boot.
            try await plane.database.write { connection in
                try plane.jobs.ensure(
                    .control,
                    EnvironmentOperation.start.rawValue,
                    subject: id.text,
                    organization: plane.organization,
                    owner: plane.user,
                    home: nil,
                    in: connection
                )
            }
            plane.jobs.wake()
            let dead = try await Self.settled(plane, id)
            #expect(dead.state == .error)
            #expect(dead.cause?.code == .environmentLost)
            #expect(dead.cause?.message.contains("its holder was killed by signal 9") == true)
            #expect(plane.instances.calls.count { $0 == "start" } == 1)
        }
    }

    @Test func `a stop says what it takes, and leaves the files`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let running = try await Self.settled(plane, id)
            #expect(try await plane.environments.losses(of: running).count == 1)
            let execution = try await plane.executions.create(plane.command("sleep", environment: id)).execution
            _ = try await plane.execution(execution.id) { $0.state == .assigned }
            let losses = try await plane.environments.losses(of: running)
            #expect(losses == ["every process in it, with what it has in memory", "1 execution, which ends as lost"])
            _ = try await plane.environments.stop(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            let stopped = try await Self.settled(plane, id)
            #expect(stopped.state == .stopped && stopped.isProvisioned)
            #expect(try await plane.environments.losses(of: stopped).isEmpty)
        }
    }

    @Test func `where no instance is left a retry makes it anew`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, id).state == .running)
            plane.instances.set(id, nil)
            try await plane.environments.reconcile()
            let lost = try await Self.settled(plane, id)
            #expect(lost.state == .error && !lost.isProvisioned)
            _ = try await plane.environments.retry(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            let again = try await Self.settled(plane, id)
            #expect(again.state == .running)
            #expect(again.instance == 2)
            #expect(plane.instances.calls.count { $0 == "create" } == 2)
        }
    }

    @Test func `a running one whose worker stays away is told of and started again`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, connectsWorkers: false) { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let worker = try await plane.worker(of: id)
            #expect(try await Self.settled(plane, id).state == .running)
            try await plane.environments.reconcile()
            #expect(try await Self.settled(plane, id).health?.problems == [])
            await worker.link.disconnected()
            try await plane.environments.reconcile()
            let away = try await Self.settled(plane, id)
            #expect(away.health?.problems == [.workerAway])
            #expect(away.lastHealthCheckAt == time.now)
            #expect(away.instance == 1, "it may come back by itself")
            plane.instances.state.withLock { $0.tokens[id] = nil }
            time.advance(.seconds(181))
            try await plane.environments.reconcile()
            _ = try await plane.worker(of: id)
            let again = try await Self.settled(plane, id)
            #expect(again.state == .running)
            #expect(again.instance == 2)
            try await plane.environments.reconcile()
            #expect(try await Self.settled(plane, id).health?.problems == [])
        }
    }
}
