import AgentProtocol
import Base
import Domain
import WorkerProtocol

/// One attempt in a worker's memory, and how far its task is.
final class Run {
    enum Stage: Int {
        case accepting, preparing, starting, watched, storing, ended
    }

    let key: AttemptKey
    let order: Plan.Order
    var machine: AttemptMachine
    var stage: Stage
    /// Its streams are at hand; what never began has none.
    var hasSpools = false
    var isPumping = false
    var isCollecting = false

    init(_ key: AttemptKey, _ order: Plan.Order, _ stage: Stage, stopCause: StopCause? = nil) {
        self.key = key
        self.order = order
        self.stage = stage
        machine = AttemptMachine(stopCause: stopCause)
    }
}

enum RunStep {
    case accepted(connection: Int?)
    case prepared
    case spawn
    case spawned
    case pump
    case collected
    case stopStored
    case deadline
    indirect case endStored(ExecutionReport)
    case holderForgets
}

// What the worker's tasks do, one effect at a time: between any two of these steps it may die.
extension SimWorker {
    func run(_ key: AttemptKey) -> Run? { runs.first { $0.key == key } }

    private func then(_ key: AttemptKey, _ step: RunStep, _ range: ClosedRange<Int> = 0...3) {
        // Now and then a disk or a holder takes its time, so that faults meet the short states too.
        let delay = dice.chance(percent: 5) ? dice.within(0...2000) : dice.within(range)
        add(.runs(key, step), after: Int64(delay))
    }

    func accept(_ assign: ServerMessage.Assign) throws {
        guard let id = try? ExecutionID(assign.executionId),
            let index = Int(assign.agent?.command?.first ?? assign.prompt)
        else {
            throw Breach(rule: "assignments are whole", words: "an assignment of \(assign.executionId)")
        }
        let key = AttemptKey(id, assign.attempt ?? 1)
        guard run(key) == nil else { return }
        world.trace("worker \(self.index) is assigned \(world.name(key))")
        runs.append(Run(key, world.order(index), .accepting))
        then(key, .accepted(connection: connection?.number))
    }

    func step(_ key: AttemptKey, _ step: RunStep) throws {
        if case .holderForgets = step { return holder.forget(key) }
        guard let run = run(key) else { return }
        switch step {
        case .accepted(let number): try accepted(run, on: number)
        case .prepared: prepared(run)
        case .spawn:
            try holder.spawn(key, run.order)
            then(key, .spawned)
        case .spawned:
            spools[key] = makeSpools(run.order)
            run.hasSpools = true
            run.machine.start()
            run.stage = .watched
            if run.machine.stopCause != nil { then(key, .stopStored) }
            outputWaits(key)
            try feed(key)
        case .pump: try pump(run)
        case .collected: finish(run, report(of: run))
        case .stopStored:
            store { rows in
                guard let place = rows.firstIndex(where: { $0.key == key }) else { return }
                rows[place].stopCause = run.machine.stopCause
            }
            try holder.terminate(key)
        case .deadline: try stop(run, .timedOut)
        case .endStored(let report): try ended(run, report)
        case .holderForgets: break
        }
    }

    private func accepted(_ run: Run, on number: Int?) throws {
        let deadline = run.order.timeoutMs.map { world.now + $0 }
        store { $0.append(Row(key: run.key, order: run.order, holderLife: holder.life, deadline: deadline)) }
        if let deadline { add(.runs(run.key, .deadline), after: deadline - world.now) }
        run.stage = .preparing
        if let number, number == connection?.number { feeds.append(SimFeed(run.key, stdout: 0, stderr: 0)) }
        if run.machine.stopCause != nil { return finish(run, failed(run)) }
        add(.runs(run.key, .prepared), after: Int64(run.order.preparationMs))
    }

    private func prepared(_ run: Run) {
        guard run.stage == .preparing else { return }
        run.stage = .starting
        then(run.key, .spawn)
    }

    /// A transaction of the worker's database, which also removes what is not needed any more.
    private func store(_ change: (inout [Row]) -> Void) {
        rows.removeAll { unneeded.contains($0.key) }
        unneeded = []
        change(&rows)
    }

    func stop(_ run: Run, _ cause: StopCause) throws {
        guard run.machine.stop(cause) else { return }
        world.trace("worker \(index) stops \(world.name(run.key)): \(cause)")
        halt(run)
    }

    func abandon(_ run: Run) throws {
        world.trace("worker \(index) abandons \(world.name(run.key))")
        if run.machine.abandon() { halt(run) }
        if run.machine.hasEnded { drop(run.key) }
    }

    private func halt(_ run: Run) {
        switch run.stage {
        case .preparing: finish(run, failed(run))
        case .watched: then(run.key, .stopStored)
        case .accepting, .starting, .storing, .ended: break
        }
    }

    // MARK: - Output and end

    private func makeSpools(_ order: Plan.Order) -> [SimSpool] {
        [SimSpool(headBytes: order.headBytes), SimSpool(headBytes: order.headBytes)]
    }

    func outputWaits(_ key: AttemptKey) {
        guard isUp, let run = run(key), run.stage == .watched, !run.isPumping else { return }
        run.isPumping = true
        then(key, .pump, 0...20)
    }

    private func pump(_ run: Run) throws {
        run.isPumping = false
        guard let child = holder.child(run.key), let spools = spools[run.key] else { return }
        for stream in 0...1 where !child.pipes[stream].isEmpty {
            let count = dice.within(1...child.pipes[stream].count)
            spools[stream].receive(child.pipes[stream][..<count])
            child.pipes[stream].removeFirst(count)
        }
        if !child.pipes[0].isEmpty || !child.pipes[1].isEmpty { outputWaits(run.key) }
        if child.isDrained, !run.isCollecting {
            for spool in spools { spool.finish(digest: world.digest) }
            run.isCollecting = true
            then(run.key, .collected, 0...50)
        }
        try feed(run.key)
    }

    private func report(of run: Run) -> ExecutionReport {
        let exit = holder.child(run.key)?.exit ?? .signal(9)
        let end: ProcessEnd =
            switch exit {
            case .code(let code): .exited(code)
            case .signal(let number): .signalled(number)
            }
        let ending = AgentEnding(
            agent: .command,
            cause: run.machine.stopCause,
            end: end,
            verdict: nil,
            errorTail: "",
            caps: RunCaps(timeoutMs: run.order.timeoutMs)
        )
        return ExecutionReport(
            outcome: ending.outcome,
            exitCode: end.exitCode,
            signal: end.signal,
            failure: ending.failure,
            durationMs: 1,
            stdout: spools[run.key]?[0].mark,
            stderr: spools[run.key]?[1].mark
        )
    }

    private func failed(_ run: Run, isHolderLost: Bool = false) -> ExecutionReport {
        if let cause = run.machine.stopCause {
            let ending = AgentEnding(
                agent: .command,
                cause: cause,
                end: .signalled(15),
                verdict: nil,
                errorTail: "",
                caps: RunCaps(timeoutMs: run.order.timeoutMs)
            )
            return ExecutionReport(outcome: ending.outcome, failure: ending.failure, durationMs: 0)
        }
        let reason =
            isHolderLost
            ? FailureReason(.environmentLost, "the environment's holder went away while the run was on")
            : FailureReason(.infrastructureLost, "the worker died before the run began")
        return ExecutionReport(
            outcome: .failed,
            failure: reason,
            durationMs: 0,
            hasStarted: isHolderLost ? nil : false
        )
    }

    private func finish(_ run: Run, _ report: ExecutionReport) {
        run.stage = .storing
        then(run.key, .endStored(report), 0...10)
    }

    private func ended(_ run: Run, _ report: ExecutionReport) throws {
        store { rows in
            guard let place = rows.firstIndex(where: { $0.key == run.key }), rows[place].report == nil else { return }
            rows[place].report = report
        }
        run.stage = .ended
        run.machine.end(report)
        world.trace("worker \(index): \(world.name(run.key)) has ended: \(report.outcome)")
        then(run.key, .holderForgets)
        if run.machine.isUnwanted { return drop(run.key) }
        try feed(run.key)
    }

    func forget(_ key: AttemptKey) throws {
        guard let run = run(key) else { return }
        if run.machine.mayBeDropped { drop(key) } else { try abandon(run) }
    }

    /// The server has the end, or wants none.
    func drop(_ key: AttemptKey) {
        guard let run = run(key), run.machine.mayBeDropped else { return }
        runs.removeAll { $0 === run }
        feeds.removeAll { $0.key == key }
        unneeded.append(key)
        spools[key] = nil
    }

    /// After its own death: what the rows and the holder tell.
    func takeUpRuns() throws {
        for row in rows {
            let run = Run(row.key, row.order, .watched, stopCause: row.stopCause)
            runs.append(run)
            switch AttemptMachine.found(
                report: row.report,
                hasChild: holder.child(row.key) != nil,
                isSameHolder: row.holderLife == holder.life
            ) {
            case .ended(let report):
                run.stage = .ended
                run.hasSpools = true
                run.machine.end(report)
                let spools = spools[row.key] ?? makeSpools(row.order)
                for spool in spools { spool.finish(digest: world.digest) }
                self.spools[row.key] = spools
                holder.forget(row.key)
            case .neverBegan: finish(run, failed(run))
            case .lostWithHolder: finish(run, failed(run, isHolderLost: true))
            case .kept:
                run.hasSpools = true
                run.machine.start()
                if spools[row.key] == nil { spools[row.key] = makeSpools(row.order) }
                if let deadline = row.deadline { add(.runs(row.key, .deadline), after: max(0, deadline - world.now)) }
                if row.stopCause != nil { then(row.key, .stopStored) }
                outputWaits(row.key)
            }
        }
        for child in holder.children where !rows.contains(where: { $0.key == child.key }) {
            try holder.terminate(child.key, killNow: true)
            then(child.key, .holderForgets)
        }
    }
}
