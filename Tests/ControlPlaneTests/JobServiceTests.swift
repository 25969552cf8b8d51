import Base
import Database
import Domain
import Synchronization
import TestSupport
import Testing

@testable import Jobs

@Suite struct JobServiceTests {
    private static let broken = BerthError(.unavailable, "the provider broke")

    @Test(arguments: DatabaseEngine.allCases)
    func `a storm of equal requests is one job, and one that comes while it runs is looked at before its end`(
        _ engine: DatabaseEngine
    )
        async throws
    {
        try await JobFixture.with(engine) { fixture in
            let service = fixture.service()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { try await fixture.ask(service, "env_1") } }
                try await group.waitForAll()
            }
            let waiting = try await fixture.jobs(service)
            #expect(waiting.count == 1 && waiting[0].wishes == 200)
            let looks = Mutex(0)
            let handler = ScriptedJobs(service, fixture.feed) { claim, _ in
                let look = looks.withLock { looks in
                    looks += 1
                    return looks
                }
                // Asked for again under its hands.
                if look == 1 { try await fixture.ask(service, "env_1") }
            }
            try await fixture.running(service, handler) {
                try await handler.wait { _ in try await fixture.jobs(service).allSatisfy { $0.state == .completed } }
            }
            #expect(handler.turns.count == 1 && looks.withLock { $0 } == 2)
            let jobs = try await fixture.jobs(service)
            #expect(jobs.count == 1 && jobs[0].wishes == 201)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `no queue runs more than it may, and nothing is worked at twice at once`(_ engine: DatabaseEngine) async throws
    {
        try await JobFixture.with(engine) { fixture in
            let service = fixture.service()
            for number in 0..<24 {
                try await fixture.ask(service, "env_\(number)", "provision", .provision)
                for action in ["start", "stop"] { try await fixture.ask(service, "env_\(number)", action) }
            }
            let arrived = Mutex<[WorkQueue: Int]>([:])
            let arrival = Wakeup()
            let handler = ScriptedJobs(service, fixture.feed) { claim, _ in
                arrived.withLock { $0[claim.queue, default: 0] += 1 }
                arrival.ring()
                // The first ones wait until the queue is full.
                while true {
                    let count = arrival.count
                    if arrived.withLock({ $0[claim.queue] ?? 0 }) >= service.policy(claim.queue).concurrency { return }
                    try await arrival.wait(after: count)
                }
            }
            try await fixture.running(service, handler) { try await handler.wait { $0.turns.count == 72 } }
            handler.state.withLock { state in
                #expect(state.most[.provision] == 2)
                #expect(state.most[.control] == 5)
                #expect(state.mostOfOne == 1)
            }
        }
    }

    @Test func `tries are apart as documented, by the clock, and the last error is the job's`() async throws {
        try await JobFixture.with { fixture in
            let time = SettableTime()
            let service = fixture.service(time: time, policies: [:])
            let handler = ScriptedJobs(service, fixture.feed) { _, _ in throw Self.broken }
            try await fixture.ask(service, "env_1", "provision", .provision)
            var waits: [Duration] = []
            for turn in 1...3 {
                try await fixture.running(service, handler) {
                    try await handler.wait { _ in
                        guard let job = try await fixture.jobs(service).first else { return false }
                        return job.attempt == turn && job.state != .active
                    }
                }
                let job = try #require(try await fixture.jobs(service).first)
                #expect(job.failures == turn && job.failure?.message == "the provider broke")
                guard turn < 3 else { break }
                #expect(job.state == .queued)
                waits.append(job.runAt - time.now)
                // Not before its time.
                time.advance(job.runAt - time.now + .milliseconds(-1))
                try await fixture.running(service, handler) { try await service.recover(handler) }
                #expect(handler.turns.count == turn)
                time.advance(.milliseconds(1))
            }
            #expect(waits.count == 2)
            #expect((4000...5000).contains(waits[0].wholeMilliseconds))
            #expect((8000...10_000).contains(waits[1].wholeMilliseconds))
            let job = try #require(try await fixture.jobs(service).first)
            #expect(job.state == .failed && job.endedAt == time.now)
            let (_, attempts) = try await service.get(job.id, organization: fixture.organization, visibleTo: nil)
            #expect(attempts.map(\.outcome) == [.failed, .failed, .failed])
            #expect(attempts.allSatisfy { $0.code == .unavailable && $0.endedAt != nil })
            let facts = try await fixture.feed.read(fixture.organization, after: 0, limit: 10, visibleTo: nil)
            #expect(facts.map(\.type) == ["job.retried", "job.retried", "job.failed"])
            #expect(facts.allSatisfy { $0.subject == job.id.text })
        }
    }

    @Test func `an error that stays ends a job at its first turn`() async throws {
        try await JobFixture.with { fixture in
            let service = fixture.service()
            let handler = ScriptedJobs(service, fixture.feed) { _, _ in
                throw BerthError(.unsupported, "there is no such provider")
            }
            try await fixture.ask(service, "env_1", "provision", .provision)
            try await fixture.running(service, handler) {
                try await handler.wait { _ in try await fixture.jobs(service).first?.state == .failed }
            }
            #expect(handler.turns.count == 1)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `what a server was at when it died runs again once, counted, and its late word is refused`(
        _ engine: DatabaseEngine
    ) async throws {
        try await JobFixture.with(engine) { fixture in
            let first = fixture.service(fence: 1)
            let isHanging = Wakeup()
            let hanging = ScriptedJobs(first, fixture.feed) { _, _ in
                isHanging.ring()
                try await Wakeup().wait(after: 0)
            }
            try await fixture.ask(first, "env_1", "provision", .provision)
            try await fixture.running(first, hanging) { try await isHanging.wait(after: 0) }
            let stale = try #require(hanging.turns.first)
            // Its successor has the next number.
            let second = fixture.service(fence: 2)
            let handler = ScriptedJobs(second, fixture.feed)
            try await fixture.running(second, handler) {
                try await handler.wait { _ in try await fixture.jobs(second).first?.state == .completed }
            }
            #expect(handler.turns.map(\.attempt) == [2])
            let job = try #require(try await fixture.jobs(second).first)
            #expect(job.failures == 0 && job.losses == 1)
            let (_, attempts) = try await second.get(job.id, organization: fixture.organization, visibleTo: nil)
            #expect(attempts.map(\.outcome) == [.lost, .completed])
            await #expect(throws: LostJob.self) {
                try await fixture.database.write { _ = try first.complete(stale, in: $0) }
            }
            await #expect(throws: LostJob.self) { try await fixture.database.write { try first.check(stale, in: $0) } }
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `servers that died take none of a job's tries`(_ engine: DatabaseEngine) async throws {
        try await JobFixture.with(engine) { fixture in
            let first = fixture.service(fence: 1)
            try await fixture.ask(first, "env_1", "destroy", .control)
            for fence in 1...2 {
                let service = fixture.service(fence: Int64(fence))
                let isHanging = Wakeup()
                let hanging = ScriptedJobs(service, fixture.feed) { _, _ in
                    isHanging.ring()
                    try await Wakeup().wait(after: 0)
                }
                try await fixture.running(service, hanging) { try await isHanging.wait(after: 0) }
            }
            let last = fixture.service(fence: 3)
            let handler = ScriptedJobs(last, fixture.feed)
            try await fixture.running(last, handler) {
                try await handler.wait { _ in try await fixture.jobs(last).first?.state == .completed }
            }
            #expect(handler.turns.map(\.attempt) == [3])
            let job = try #require(try await fixture.jobs(last).first)
            #expect(job.failures == 0 && job.losses == 2 && WorkQueue.control.policy.maximumAttempts == 2)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a server that stops in order gives back what it has, and the turn does not count`(_ engine: DatabaseEngine)
        async throws
    {
        try await JobFixture.with(engine) { fixture in
            let first = fixture.service(fence: 1)
            let isHanging = Wakeup()
            let hanging = ScriptedJobs(first, fixture.feed) { _, _ in
                isHanging.ring()
                try await Wakeup().wait(after: 0)
            }
            try await fixture.ask(first, "env_1")
            try await fixture.running(first, hanging) {
                try await isHanging.wait(after: 0)
                await first.handBack()
            }
            let given = try #require(try await fixture.jobs(first).first)
            #expect(given.state == .queued && given.failures == 0 && given.holder == nil)
            let second = fixture.service(fence: 2)
            let handler = ScriptedJobs(second, fixture.feed)
            try await fixture.running(second, handler) {
                try await handler.wait { _ in try await fixture.jobs(second).first?.state == .completed }
            }
            let (job, attempts) = try await second.get(given.id, organization: fixture.organization, visibleTo: nil)
            #expect(job.failures == 0)
            #expect(attempts.map(\.outcome) == [.handedBack, .completed])
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `of each queue the newest ended ones are kept, with their turns`(_ engine: DatabaseEngine) async throws {
        try await JobFixture.with(engine) { fixture in
            let policy = JobPolicy(concurrency: 5, maximumAttempts: 1, firstWait: .milliseconds(1), kept: 7)
            let service = fixture.service(policies: [.control: policy])
            let handler = ScriptedJobs(service, fixture.feed) { claim, _ in
                if claim.action == "stop" { throw Self.broken }
            }
            for number in 0..<20 {
                for action in ["start", "stop"] { try await fixture.ask(service, "env_\(100 + number)", action) }
            }
            try await fixture.running(service, handler) {
                try await handler.wait { _ in
                    try await service.depths().allSatisfy { $0.queued == 0 && $0.active == 0 }
                }
            }
            let depth = try #require(try await service.depths(fixture.organization).first { $0.queue == .control })
            #expect(depth.completed == 7 && depth.failed == 7 && depth.oldestAt == nil)
            let turns = try await fixture.database.read {
                try $0.first("SELECT COUNT(*) AS n FROM job_attempts")?.int("n")
            }
            #expect(turns == 14)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a job of another server's machine is left to that server`(_ engine: DatabaseEngine) async throws {
        try await JobFixture.with(engine) { fixture in
            let service = fixture.service()
            let other: ReplicaID = fixture.ids.make()
            try await fixture.ask(service, "env_far")
            try await fixture.database.write { try service.place("env_far", at: other, in: $0) }
            try await fixture.ask(service, "env_near")
            let handler = ScriptedJobs(service, fixture.feed)
            try await fixture.running(service, handler) { try await handler.wait { !$0.turns.isEmpty } }
            #expect(handler.turns.map(\.subject) == ["env_near"])
            #expect(try await service.isOpen("env_far"))
        }
    }

    @Test func `who breaks into a job is heard by it`() async throws {
        try await JobFixture.with { fixture in
            let service = fixture.service()
            let isHanging = Wakeup()
            let handler = ScriptedJobs(service, fixture.feed) { _, interruption in
                isHanging.ring()
                try await interruption.wait(after: 0)
            }
            try await fixture.ask(service, "env_1")
            try await fixture.running(service, handler) {
                try await isHanging.wait(after: 0)
                service.interruptHere("env_1")
                try await handler.wait { _ in try await fixture.jobs(service).first?.state == .completed }
            }
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `every statement prepares`(_ engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { try await $0.check(JobService.statements($0.dialect)) }
    }
}
