import Base
import Database
import Domain
import Executions
import Synchronization
import Testing
import WorkerProtocol
import Workers
import Workspaces

@testable import Environments

/// Rule 10 on the services, with a clock that stands still and workers that tests play.
@Suite struct IdleTests {
    /// A running environment with a worker that answers when it is asked what goes on.
    private struct Scene: Sendable {
        let plane: ControlPlane
        let time: SettableTime
        let id: EnvironmentID
        let worker: ScriptedWorker

        var organization: OrganizationID { plane.organization }

        func say(_ uses: [ActivityReport.Use]) async throws {
            try await worker.say(.heartbeat(.init(timestamp: 0, activity: ActivityReport(uses: uses))))
        }

        func record() async throws -> EnvironmentRecord {
            try await plane.environments.get(id, organization: organization, visibleTo: nil)
        }

        func settled() async throws -> EnvironmentRecord {
            try await withDeadline(.seconds(30), time: SystemTime(), what: "rest") {
                try await plane.environments.settled(id, organization: organization, within: .seconds(3600))
            }
        }

        /// Says `uses`, lets the server look, and answers each of its questions with `answer`.
        func look(_ uses: [ActivityReport.Use], answer: [ActivityReport.Use]? = nil) async throws {
            try await say(uses)
            try await withThrowingTaskGroup(of: Void.self) { group in
                let asked = questions
                group.addTask { try await plane.environments.restIdle() }
                group.addTask {
                    let _: Bool = try await worker.expect { Self.questions($0) > asked ? true : nil }
                    try await say(answer ?? uses)
                    try await Wakeup().wait(after: 0)
                }
                try await group.next()
                group.cancelAll()
            }
        }

        var questions: Int { worker.transport.state.withLock { Self.questions($0) } }

        private static func questions(_ state: MemoryTransport.State) -> Int {
            state.messages.count { $0 == .look(.init()) }
        }
    }

    private static func with(
        _ request: @escaping @Sendable (inout NewEnvironment) -> Void = { _ in },
        _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, connectsWorkers: false) { plane in
            var new = NewEnvironmentFixture.make(plane)
            request(&new)
            let id = try await plane.environments.create(new).id
            let worker = try await plane.worker(of: id)
            let scene = Scene(plane: plane, time: time, id: id, worker: worker)
            #expect(try await scene.settled().state == .running)
            try await body(scene)
        }
    }

    @Test func `unused for its time it is paused, with what its worker saw as evidence`() async throws {
        try await Self.with { scene in
            scene.time.advance(.seconds(29 * 60))
            try await scene.look([.init(.process, quietMs: 29 * 60_000), .init(.terminal)])
            #expect(try await scene.record().state == .running)
            #expect(scene.questions == 0, "nobody is asked before anything is due")
            scene.time.advance(.seconds(90))
            try await scene.look([.init(.process, quietMs: 31 * 60_000), .init(.terminal)])
            let paused = try await scene.settled()
            #expect(paused.state == .paused)
            let evidence = try #require(paused.rest)
            #expect(evidence.action == .pause)
            #expect(evidence.rule == .autoStop)
            #expect(evidence.idleMinutes == 30)
            #expect(evidence.uses.map(\.kind) == ["process", "terminal"])
            let activity = try await scene.plane.environments.activity(
                of: scene.id,
                organization: scene.organization,
                visibleTo: nil
            )
            #expect(activity.rests == [evidence])
            _ = try await scene.plane.environments.wake(scene.id, organization: scene.organization)
            let awake = try await scene.settled()
            #expect(awake.state == .running)
            #expect(awake.rest == nil)
        }
    }

    @Test func `put to rest by itself it is what a pause by hand leaves, and is told of in its history`() async throws {
        try await Self.with { scene in
            let (plane, organization, user) = (scene.plane, scene.organization, scene.plane.user)
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([.init(.process, quietMs: 31 * 60_000)])
            let byItself = try await scene.settled()
            let calls = plane.instances.calls.suffix(1)
            let condition = plane.instances.condition(scene.id)
            _ = try await plane.environments.resume(scene.id, organization: organization, by: user, visibleTo: user)
            #expect(try await scene.settled().state == .running)
            _ = try await plane.environments.pause(scene.id, organization: organization, by: user, visibleTo: user)
            let byHand = try await scene.settled()
            #expect(byItself.state == .paused && byHand.state == .paused)
            #expect(byItself.desired == byHand.desired)
            #expect(byItself.instance == byHand.instance)
            #expect(byItself.allowed == byHand.allowed)
            #expect(byItself.deadlineAt == byHand.deadlineAt)
            #expect(calls == ["pause"] && plane.instances.calls.suffix(1) == calls)
            #expect(plane.instances.condition(scene.id) == condition)
            let history = try await plane.environments.transitions(
                scene.id,
                organization: organization,
                visibleTo: user,
                limit: 100
            )
            #expect(history.count { $0.type == "environment.paused" } == 2)
        }
    }

    @Test func `just woken it is not put to rest for what its worker saw before`() async throws {
        try await Self.with { scene in
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([.init(.process, quietMs: 31 * 60_000)])
            #expect(try await scene.settled().state == .paused)
            scene.time.advance(.seconds(600))
            _ = try await scene.plane.environments.wake(scene.id, organization: scene.organization)
            #expect(try await scene.settled().state == .running)
            try await scene.look([.init(.process, quietMs: 41 * 60_000)])
            let record = try await scene.record()
            #expect(record.state == .running && record.desired == .running)
        }
    }

    @Test func `a turn that began since the last report is not cut`() async throws {
        try await Self.with { scene in
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([.init(.agentTurn)], answer: [.init(.agentTurn, open: 1, quietMs: 0)])
            #expect(scene.questions == 1)
            let record = try await scene.record()
            #expect(record.state == .running && record.desired == .running)
            // And it takes work again.
            let created = try await scene.plane.executions.create(
                scene.plane.command("true", environment: scene.id)
            )
            #expect(try await scene.worker.assignment().executionId == created.execution.id.text)
        }
    }

    @Test func `a running execution keeps it awake, whatever its worker says`() async throws {
        try await Self.with { scene in
            let plane = scene.plane
            _ = try await plane.executions.create(plane.command("sleep", "9999", environment: scene.id))
            _ = try await scene.worker.assignment()
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([])
            #expect(scene.questions == 0)
            #expect(try await scene.record().desired == .running)
        }
    }

    @Test func `paused for longer than its tier lets it idle, it is stopped`() async throws {
        try await Self.with({ $0.idleStopMinutes = 60 }) { scene in
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([])
            #expect(try await scene.settled().state == .paused)
            scene.time.advance(.seconds(28 * 60))
            try await scene.plane.environments.restIdle()
            #expect(try await scene.record().desired == .paused)
            scene.time.advance(.seconds(120))
            try await scene.plane.environments.restIdle()
            let stopped = try await scene.settled()
            #expect(stopped.state == .stopped)
            #expect(stopped.rest?.rule == .idleStop)
            #expect(stopped.rest?.action == .stop)
        }
    }

    @Test func `never is never`() async throws {
        try await Self.with({ $0.autoStopMinutes = nil }) { scene in
            scene.time.advance(.seconds(99 * 3600))
            try await scene.look([])
            #expect(scene.questions == 0)
            #expect(try await scene.record().desired == .running)
        }
    }

    @Test func `it rests when the last of its workspaces may`() async throws {
        try await Self.with { scene in
            let plane = scene.plane
            for (minutes, name) in [(5, "short"), (50, "long")] {
                var new = NewWorkspace(
                    organizationID: plane.organization,
                    ownerID: plane.user,
                    environmentID: scene.id,
                    repositoryURL: "https://git.example/\(name).git",
                    task: name
                )
                new.autoStopMinutes = minutes
                _ = try await plane.workspaces.create(new)
            }
            scene.time.advance(.seconds(31 * 60))
            try await scene.say([])
            try await plane.environments.restIdle()
            #expect(try await scene.record().desired == .running, "longer than its own time, and one wishes for more")
            scene.time.advance(.seconds(20 * 60))
            try await scene.look([])
            #expect(try await scene.record().desired == .paused)
        }
    }

    @Test func `a worker that is away proves nothing`() async throws {
        try await Self.with { scene in
            try await scene.say([])
            scene.time.advance(.seconds(31 * 60))
            try await scene.plane.environments.restIdle()
            #expect(scene.questions == 0)
            #expect(try await scene.record().desired == .running)
        }
    }

    @Test func `whoever comes while it pauses, and several at once, find it awake`() async throws {
        try await Self.with { scene in
            let plane = scene.plane
            plane.instances.hang("pause")
            scene.time.advance(.seconds(31 * 60))
            try await scene.look([])
            try await withDeadline(.seconds(30), time: SystemTime(), what: "the pause") {
                while !plane.instances.calls.contains("pause") {
                    let count = plane.instances.called.count
                    if plane.instances.calls.contains("pause") { break }
                    try await plane.instances.called.wait(after: count)
                }
            }
            #expect(try await scene.record().state == .pausing)
            try await withThrowingTaskGroup(of: EnvironmentRecord.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await plane.environments.visit(
                            scene.id,
                            organization: scene.organization,
                            within: .seconds(3600)
                        )
                    }
                }
                plane.instances.release("pause")
                for try await record in group { #expect(record.state == .running) }
            }
            #expect(plane.instances.calls.count { $0 == "resume" } == 1)
            #expect(plane.instances.condition(scene.id) == .running)
        }
    }

    @Test func `work that comes between the decision and the pause is not frozen`() async throws {
        try await Self.with { scene in
            let plane = scene.plane
            let created = try await plane.executions.create(plane.command("true", environment: scene.id)).execution
            _ = try await scene.worker.assignment()
            // As if the decision had been taken a moment before.
            let now = scene.time.now
            try await plane.environments.change(scene.id, scene.organization) { try $0.want(.paused, at: now) }
            let record = try await withDeadline(.seconds(30), time: SystemTime(), what: "its return") {
                while true {
                    let position = try await plane.feed.position(scene.organization)
                    let record = try await scene.record()
                    if record.desired == .running, record.state == .running { return record }
                    try await plane.feed.waitForEvent(scene.organization, after: position)
                }
            }
            #expect(record.instance == 1)
            #expect(!plane.instances.calls.contains("pause"))
            #expect(try await plane.execution(created.id).state.isTerminal == false)
        }
    }
}
