import Base
import Domain
import Testing

@Suite struct JobMachineTests {
    private let holder = JobHolder(replica: .alone, fence: 1)
    private let now = Timestamp(milliseconds: 1_000_000)
    private let reason = FailureReason(.unavailable, "it broke")

    private func queued(_ queue: WorkQueue = .provision, failures: Int = 0, attempt: Int = 0) -> JobMachine {
        JobMachine(status: .queued(runAt: now), attempt: attempt, failures: failures, policy: queue.policy)
    }

    private func active(_ queue: WorkQueue = .provision, failures: Int = 0) -> JobMachine {
        JobMachine(status: .active(holder), attempt: failures + 1, failures: failures, policy: queue.policy)
    }

    @Test func `the queues are the documented ones`() {
        let provision = WorkQueue.provision.policy
        #expect(WorkQueue.provision.rawValue == "vm-provision" && WorkQueue.control.rawValue == "vm-control")
        #expect(provision == JobPolicy(concurrency: 2, maximumAttempts: 3, firstWait: .seconds(5), kept: 100))
        #expect(
            WorkQueue.control.policy == JobPolicy(concurrency: 5, maximumAttempts: 2, firstWait: .seconds(2), kept: 50)
        )
    }

    @Test func `a failed turn waits 5 s, then 10 s, then was the last`() throws {
        var job = queued()
        var waits: [Duration] = []
        for turn in 1...3 {
            guard case .queued(let runAt) = job.status else { break }
            try job.claim(by: holder, at: runAt)
            #expect(job.attempt == turn)
            if let next = try job.fail(attempt: turn, reason, at: runAt, fraction: 0) { waits.append(next - runAt) }
        }
        #expect(waits == [.seconds(5), .seconds(10)])
        #expect(job.status == .failed(reason))
        var control = active(.control)
        let next = try control.fail(attempt: 1, reason, at: now, fraction: 0)
        #expect(next == now + .seconds(2))
    }

    @Test func `waits are up to a fifth shorter, so that what failed together is not tried together`() throws {
        for (fraction, wait) in [(0.0, 5000.0), (0.5, 4500), (0.999_999, 4000)] {
            var job = active()
            let next = try #require(try job.fail(attempt: 1, reason, at: now, fraction: fraction))
            #expect(abs(Double((next - now).wholeMilliseconds) - wait) <= 1)
        }
    }

    @Test func `an error that stays is not tried again`() throws {
        var job = active()
        #expect(try job.fail(attempt: 1, reason, isFinal: true, at: now, fraction: 0) == nil)
        #expect(job.status == .failed(reason))
    }

    @Test func `neither a turn whose server went away nor one that was handed back is one of the tries`() throws {
        var lost = active(failures: 2)
        #expect(try lost.lose(attempt: 3, at: now) == now)
        #expect(lost.failures == 2 && lost.losses == 1 && lost.status == .queued(runAt: now))
        var stopped = active()
        try stopped.handBack(attempt: 1, at: now)
        #expect(stopped.failures == 0 && stopped.losses == 0 && stopped.status == .queued(runAt: now))
    }

    @Test func `a job that its servers do not survive comes ever later and is given up after the tenth`() throws {
        var job = queued(.control)
        var waits: [Int] = []
        for turn in 1...10 {
            guard case .queued(let runAt) = job.status else { break }
            try job.claim(by: holder, at: runAt)
            guard let next = try job.lose(attempt: turn, at: runAt) else { break }
            waits.append(Int((next - runAt).wholeMilliseconds / 1000))
        }
        #expect(waits == [0, 1, 2, 4, 8, 16, 32, 60, 60])
        #expect(job.state == .failed && job.failures == 0 && job.losses == 10)
    }

    @Test func `an event of an earlier turn, or in another state, changes nothing`() throws {
        let states = [
            queued(attempt: 1), active(),
            JobMachine(status: .completed, attempt: 1, failures: 0, policy: WorkQueue.control.policy),
            JobMachine(status: .failed(reason), attempt: 1, failures: 3, policy: WorkQueue.provision.policy),
        ]
        for before in states {
            let isActive = before.state == .active
            let events: [(Bool, (inout JobMachine) throws -> Void)] = [
                (before.state == .queued, { try $0.claim(by: holder, at: now) }),
                (false, { try $0.claim(by: holder, at: now + .milliseconds(-1)) }),
                (isActive, { try $0.complete(attempt: 1) }), (false, { try $0.complete(attempt: 2) }),
                (isActive, { try $0.fail(attempt: 1, reason, at: now, fraction: 0) }),
                (false, { try $0.fail(attempt: 0, reason, at: now, fraction: 0) }),
                (isActive, { try $0.lose(attempt: 1, at: now) }), (false, { try $0.lose(attempt: 2, at: now) }),
                (isActive, { try $0.handBack(attempt: 1, at: now) }),
                (false, { try $0.handBack(attempt: 2, at: now) }),
            ]
            for (isLegal, event) in events {
                var job = before
                if isLegal {
                    try event(&job)
                    #expect(job != before)
                } else {
                    #expect(throws: BerthError.self) { try event(&job) }
                    #expect(job == before)
                }
            }
        }
    }

    @Test func `on every walk a job has at most its tries, and its end is the last`() throws {
        try Walks.each { seed in
            let randomness = SeededRandomness(seed: seed)
            let queue = WorkQueue.allCases[Int(randomness.next() % 2)]
            var job = JobMachine(status: .queued(runAt: now), attempt: 0, failures: 0, policy: queue.policy)
            var time = now
            for _ in 0..<60 {
                let before = job
                time = time + .milliseconds(Int64(randomness.next() % 4000))
                let attempt = job.attempt - (randomness.next() % 5 == 0 ? 1 : 0)
                do {
                    switch randomness.next() % 6 {
                    case 0, 1: try job.claim(by: holder, at: time)
                    case 2: try job.complete(attempt: attempt)
                    case 3: try job.fail(attempt: attempt, reason, at: time, fraction: randomness.fraction())
                    case 4: try job.lose(attempt: attempt, at: time)
                    default: try job.handBack(attempt: attempt, at: time)
                    }
                } catch { try Walks.hold(job == before, "an event that was refused changed it") }
                let isOver = before.state == .completed || before.state == .failed
                try Walks.hold(!isOver || job == before, "it changed after its end")
                try Walks.hold(job.failures <= queue.policy.maximumAttempts, "\(job.failures) failures")
                try Walks.hold(
                    job.attempt >= before.attempt && job.failures >= before.failures && job.losses >= before.losses,
                    "it went back"
                )
                try Walks.hold(
                    job.failures < queue.policy.maximumAttempts && job.losses < JobMachine.maximumLosses
                        || job.state == .failed,
                    "it goes on behind its last try"
                )
            }
        }
    }
}
