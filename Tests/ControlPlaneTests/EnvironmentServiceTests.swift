import Base
import Database
import Domain
import Environments
import Executions
import Jobs
import Synchronization
import Testing
import Workers

@Suite struct EnvironmentServiceTests {
    private func settle(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> EnvironmentRecord {
        try await plane.environments.settled(id, organization: plane.organization, within: .seconds(10))
    }

    @Test func `created, it runs once its worker is ready`() async throws {
        try await ControlPlane.with { plane in
            let made = try await plane.environments.create(NewEnvironmentFixture.make(plane, name: "box"))
            #expect(made.state == .requested)
            let record = try await settle(plane, made.id)
            #expect(record.state == .running)
            #expect(record.instance == 1)
            #expect(record.limitsEnforced == .cgroup2)
            #expect(plane.instances.calls == ["create", "start"])
            let why = try await plane.environments.why(
                made.id,
                organization: plane.organization,
                visibleTo: plane.user
            )
            #expect(
                why.facts.map(\.type) == [
                    "environment.running", "environment.starting", "environment.provisioning", "environment.requested",
                ]
            )
        }
    }

    @Test func `stop, start, pause, resume and destroy each get there`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (organization, user) = (plane.organization, plane.user)
            #expect(try await settle(plane, id).state == .running)
            _ = try await plane.environments.stop(id, organization: organization, by: user, visibleTo: user)
            #expect(try await settle(plane, id).state == .stopped)
            _ = try await plane.environments.start(id, organization: organization, by: user, visibleTo: user)
            let again = try await settle(plane, id)
            #expect(again.state == .running)
            #expect(again.instance == 2, "a new number at every boot")
            _ = try await plane.environments.pause(id, organization: organization, by: user, visibleTo: user)
            #expect(try await settle(plane, id).state == .paused)
            _ = try await plane.environments.resume(id, organization: organization, by: user, visibleTo: user)
            let resumed = try await settle(plane, id)
            #expect(resumed.state == .running)
            #expect(resumed.instance == 2)
            _ = try await plane.environments.destroy(id, organization: organization, by: user, visibleTo: user)
            #expect(try await settle(plane, id).state == .destroyed)
            #expect(plane.instances.condition(id) == nil)
            let list = try await plane.environments.list(organization, visibleTo: user)
            #expect(list.isEmpty)
            let error = await #expect(throws: BerthError.self) {
                try await plane.environments.start(id, organization: organization, by: user, visibleTo: user)
            }
            #expect(error?.code == .illegalTransition)
        }
    }

    @Test func `one personal environment per user, however many ask at once`() async throws {
        try await ControlPlane.with { plane in
            let found = try await withThrowingTaskGroup(of: EnvironmentID.self) { group in
                for _ in 0..<16 {
                    group.addTask { try await plane.environments.personal(plane.organization, user: plane.user).id }
                }
                var all: Set<EnvironmentID> = []
                for try await id in group { all.insert(id) }
                return all
            }
            #expect(found.count == 1)
            let record = try await plane.environments.find(
                "personal",
                organization: plane.organization,
                user: plane.user
            )
            #expect(found == [record.id])
        }
    }

    @Test(arguments: ["create", "start"])
    func `a provider that breaks leaves its words and a retry that works`(_ call: String) async throws {
        try await ControlPlane.with { plane in
            plane.instances.fail(call, times: 3)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let broken = try await settle(plane, id)
            #expect(broken.state == .error)
            #expect(broken.cause?.operation == (call == "create" ? .provision : .start))
            #expect(broken.cause?.providerWords == "E_BROKEN: \(call)")
            #expect(broken.allowed.contains("retry"))
            _ = try await plane.environments.retry(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(try await settle(plane, id).state == .running)
        }
    }

    @Test(arguments: ["create", "start"])
    func `destroy breaks into a call that hangs`(_ call: String) async throws {
        try await ControlPlane.with { plane in
            plane.instances.hang(call)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await withDeadline(.seconds(10), time: SystemTime(), what: "the call") {
                while !plane.instances.calls.contains(call) {
                    let count = plane.instances.called.count
                    guard !plane.instances.calls.contains(call) else { return }
                    try await plane.instances.called.wait(after: count)
                }
            }
            _ = try await plane.environments.destroy(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(try await settle(plane, id).state == .destroyed)
        }
    }

    @Test func `a call that takes too long becomes an error that can be retried`() async throws {
        // Time enough for the retry, also on a machine that is busy.
        let times = EnvironmentTimes(provisioning: .milliseconds(500))
        try await ControlPlane.with(times: times) { plane in
            plane.instances.hang("create")
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let record = try await settle(plane, id)
            #expect(record.state == .error)
            #expect(record.cause?.code == .timedOut)
            plane.instances.release("create")
            _ = try await plane.environments.retry(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(try await settle(plane, id).state == .running)
        }
    }

    @Test func `limits that must hold are refused where they cannot be, with what is missing`() async throws {
        try await ControlPlane.with { plane in
            plane.instances.state.withLock { $0.limitations = ["memory is not capped"] }
            var request = NewEnvironmentFixture.make(plane)
            request.spec.limitsPolicy = .required
            let asked = request
            let error = await #expect(throws: BerthError.self) { try await plane.environments.create(asked) }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains("memory is not capped") == true)
            request.spec.limitsPolicy = .bestEffort
            let made = try await plane.environments.create(request)
            #expect(made.limitations == ["memory is not capped"])
        }
    }

    @Test(arguments: ["Box", "-x", "new", "personal", "", "a b"])
    func `a name that cannot be is refused`(_ name: String) async throws {
        try await ControlPlane.with { plane in
            let request = NewEnvironmentFixture.make(plane, name: name)
            let error = await #expect(throws: BerthError.self) { try await plane.environments.create(request) }
            #expect(error?.field == "name")
        }
    }

    @Test func `an instance that died is found, what ran there is ended, and it boots again when needed`() async throws
    {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            let run = try await plane.executions.create(plane.command("sleep", environment: id)).execution
            #expect(run.state == .assigned)
            plane.instances.set(id, .stopped)
            try await plane.environments.reconcile()
            let record = try await plane.environments.get(id, organization: plane.organization, visibleTo: plane.user)
            #expect(record.state == .stopped)
            #expect(record.desired == .stopped)
            let lost = try await plane.execution(run.id)
            #expect(lost.state == .failed)
            #expect(lost.failure?.code == .environmentLost)
            let next = try await plane.executions.create(plane.command("true", environment: id)).execution
            let assigned = try await plane.execution(next.id) { $0.state == .assigned }
            #expect(assigned.attempt == 1)
            #expect(try await settle(plane, id).instance == 2)
        }
    }

    @Test func `an environment whose files are gone says so`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            plane.instances.set(id, nil)
            try await plane.environments.reconcile()
            let record = try await plane.environments.get(id, organization: plane.organization, visibleTo: nil)
            #expect(record.state == .error)
            #expect(record.cause?.code == .environmentLost)
        }
    }

    @Test func `leftovers of a destroyed environment are removed, what no row knew is left alone`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            _ = try await plane.environments.destroy(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            _ = try await settle(plane, id)
            let stranger: EnvironmentID = plane.ids.make()
            plane.instances.state.withLock { state in
                state.instances[id] = .init(number: 1, condition: .stopped)
                state.instances[stranger] = .init(number: 3, condition: .running)
            }
            try await plane.environments.reconcile()
            #expect(plane.instances.condition(id) == nil)
            #expect(plane.instances.condition(stranger) == .running)
        }
    }

    @Test func `a queued run wakes a stopped environment and is refused by one in error`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            _ = try await plane.environments.stop(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            _ = try await settle(plane, id)
            plane.instances.fail("start", times: 2)
            let run = try await plane.executions.create(plane.command("true", environment: id)).execution
            #expect(run.state == .queued)
            let ended = try await plane.execution(run.id) { $0.state.isTerminal }
            #expect(ended.state == .failed)
            #expect(ended.failure?.message.contains("the provider broke at start") == true)
            let error = await #expect(throws: BerthError.self) {
                try await plane.executions.create(plane.command("true", environment: id))
            }
            #expect(error?.code == .conflict)
        }
    }

    @Test func `it is not paused under what runs in it`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            _ = try await plane.executions.create(plane.command("sleep", environment: id))
            let error = await #expect(throws: BerthError.self) {
                try await plane.environments.pause(
                    id,
                    organization: plane.organization,
                    by: plane.user,
                    visibleTo: plane.user
                )
            }
            #expect(error?.code == .conflict)
        }
    }

    @Test func `destroying ends what runs there as environmentLost`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            let run = try await plane.executions.create(plane.command("sleep", environment: id)).execution
            _ = try await plane.environments.destroy(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            _ = try await settle(plane, id)
            let ended = try await plane.execution(run.id)
            #expect(ended.state == .failed)
            #expect(ended.failure?.code == .environmentLost)
        }
    }

    @Test func `a stranger's environment is not found`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let stranger: OrganizationID = plane.ids.make()
            let other: UserID = plane.ids.make()
            for (organization, user) in [(stranger, plane.user), (plane.organization, other)] {
                let error = await #expect(throws: BerthError.self) {
                    try await plane.environments.destroy(id, organization: organization, by: user, visibleTo: user)
                }
                #expect(error?.code == .notFound)
            }
        }
    }
}

/// What becomes of environments whose provider or server breaks under a job.
@Suite struct EnvironmentJobTests {
    @Test func `a provider that breaks twice is tried a third time, and every try is on record`() async throws {
        try await ControlPlane.with { plane in
            plane.instances.fail("create", times: 2)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let record = try await plane.environments.settled(
                id,
                organization: plane.organization,
                within: .seconds(10)
            )
            #expect(record.state == .running && record.cause == nil)
            #expect(plane.instances.calls == ["create", "create", "create", "start"])
            let jobs = try await plane.jobs.list(
                JobFilter(subject: id.text),
                organization: plane.organization,
                visibleTo: plane.user
            )
            #expect(jobs.map(\.action) == ["provision"])
            let job = try #require(jobs.first)
            let (_, attempts) = try await plane.jobs.get(
                job.id,
                organization: plane.organization,
                visibleTo: plane.user
            )
            #expect(attempts.prefix(2).map(\.outcome) == [.failed, .failed])
            #expect(attempts.first?.message == "the provider broke at create")
        }
    }

    @Test func `a job that failed for good leaves the environment in error and a retry makes another job`() async throws
    {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (organization, user) = (plane.organization, plane.user)
            _ = try await plane.environments.settled(id, organization: organization, within: .seconds(10))
            plane.instances.fail("stop", times: 2)
            _ = try await plane.environments.stop(id, organization: organization, by: user, visibleTo: user)
            let broken = try await plane.environments.settled(id, organization: organization, within: .seconds(10))
            #expect(broken.state == .error && broken.cause?.operation == .stop)
            let failed = try await plane.jobs.list(
                JobFilter(state: .failed),
                organization: organization,
                visibleTo: user
            )
            #expect(failed.map(\.action) == ["stop"] && failed.first?.failures == 2)
            _ = try await plane.environments.retry(id, organization: organization, by: user, visibleTo: user)
            let stopped = try await plane.environments.settled(id, organization: organization, within: .seconds(10))
            #expect(stopped.state == .stopped)
        }
    }

    @Test func `an environment that nobody looks at is given to a job again`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            try await plane.database.write { try $0.run("DELETE FROM jobs") }
            try await plane.environments.reconcile()
            try await plane.environments.reconcile()
            let jobs = try await plane.jobs.list(
                JobFilter(subject: id.text),
                organization: plane.organization,
                visibleTo: nil
            )
            #expect(jobs.map(\.action) == ["provision"])
        }
    }

    @Test func `a stranger's job is not found, nor is another member's`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            _ = try await plane.environments.create(NewEnvironmentFixture.make(plane))
            let own = try await plane.jobs.list(JobFilter(), organization: plane.organization, visibleTo: plane.user)
            let job = try #require(own.first)
            let (stranger, other): (OrganizationID, UserID) = (plane.ids.make(), plane.ids.make())
            for (organization, user) in [(stranger, plane.user), (plane.organization, other)] {
                #expect(try await plane.jobs.list(JobFilter(), organization: organization, visibleTo: user).isEmpty)
                let error = await #expect(throws: BerthError.self) {
                    try await plane.jobs.get(job.id, organization: organization, visibleTo: user)
                }
                #expect(error?.code == .notFound)
            }
        }
    }
}
