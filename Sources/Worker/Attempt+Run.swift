internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Domain
internal import HolderProtocol
internal import OutputStore
internal import Subprocess
internal import WorkerProtocol

extension Attempt {
    /// What a run came to, before it is made durable.
    private struct Stopped: Error {
        var cause: StopCause
    }

    /// Carries out an assignment that is durably accepted. Returns when its end is durable.
    func run(_ order: AttemptOrder) async {
        let began = services.time.uptime
        let report: ExecutionReport
        do {
            report = try await perform(order)
        } catch {
            await endProcess()
            report = failed(error, began: began)
        }
        await finish(report)
    }

    /// Nobody watches it any more: it may not outlive the end that is told of it.
    private func endProcess() async {
        let id = key.description
        guard mayHaveStarted, !Task.isCancelled else { return }
        try? await services.holder.terminate(id, grace: ProtocolLimits.killGrace)
        _ = try? await services.holder.exit(of: id)
    }

    /// After the worker's own death: goes on with what the holder kept.
    func recover() async {
        let began = services.time.uptime
        isSpawning()
        let report: ExecutionReport
        do {
            let child = try await services.holder.child(key.description)
            report = try await supervise(child, order: nil)
        } catch {
            await endProcess()
            report = failed(error, began: began)
        }
        await finish(report)
    }

    /// After the worker's own death: the holder that it was accepted under tells of all that it ever made.
    func neverBegan() async {
        let error = BerthError(.infrastructureLost, "the worker died before the run began")
        await finish(failed(error, began: services.time.uptime))
    }

    /// After the worker's own death: another holder than that of the acceptance knows nothing.
    func lostWithHolder() async {
        isSpawning()
        let error = BerthError(.environmentLost, "the holder that had the run is gone")
        await finish(failed(error, began: services.time.uptime))
    }

    private func perform(_ order: AttemptOrder) async throws -> ExecutionReport {
        let workspace = WorkspaceWork(services: services, remote: order.remote)
        let directory = try PrivateDirectory.make(record.temporaryDirectory, for: services.layout)
        var workingDirectory = order.agent.workingDirectory ?? directory
        var order = order
        if let request = record.workspace {
            note("cloning", "checking out \(request.repositoryURL)")
            let checkout = try await unlessStopped { try await workspace.make(request) }
            setCheckout(.init(checkout))
            try await services.store.update(key, record)
            workingDirectory = checkout.path
            if request.setup != nil {
                let script = try SetupScript(checkout, request)
                order.agent.command = script.command
                order.variables.merge(script.variables) { given, _ in given }
                if let text = script.note { note("setup", text) }
            } else {
                let variables = CheckoutFiles.variables(of: checkout.path, workspace: request.workspaceID)
                order.variables.merge(variables) { given, _ in given }
            }
        }
        if let stopCause { throw Stopped(cause: stopCause) }
        let launch = try AgentProcess(order: order, key: key, layout: services.layout)
        if record.agent == .claude { note("starting", "starting the agent") }
        let spools = try openSpools()
        let child: Child
        isSpawning()
        do {
            child = try await launch.start(in: workingDirectory, key: key, services: services)
        } catch {
            if let known = error as? BerthError, known.code != .unavailable { wasNotSpawned() }
            try spools.stdout.finish()
            try spools.stderr.finish()
            throw error
        }
        hasStarted()
        return try await supervise(child, order: order)
    }

    /// From the process's start to the report of its end.
    private func supervise(_ child: Child, order: AttemptOrder?) async throws -> ExecutionReport {
        let spools = try openSpools()
        if !isRunning { hasStarted() }
        let watch = try await ProcessWatch(attempt: self, child: child, spools: spools).run()
        var report = ExecutionReport(
            outcome: .completed,
            exitCode: watch.end.exitCode,
            signal: watch.end.signal,
            durationMs: max(0, services.time.now.milliseconds - child.status.startedAtMs),
            verdict: watch.observation.verdict,
            agentSessionID: watch.observation.agentSessionID,
            model: watch.observation.model,
            stdout: spools.stdout.mark.map(Domain.OutputMark.init(stored:)),
            stderr: spools.stderr.mark.map(Domain.OutputMark.init(stored:))
        )
        let ending = AgentEnding(
            agent: record.agent,
            cause: stopCause,
            end: watch.end,
            verdict: watch.observation.verdict,
            errorTail: Self.tail(of: spools.stderr),
            caps: record.caps
        )
        report.outcome = ending.outcome
        report.failure = ending.failure
        if let failure = watch.storageFailure {
            report.outcome = .failed
            report.failure = FailureReason(failure)
        }
        if let checkout = record.checkout?.checkout, let request = record.workspace, request.setup == nil {
            note("collecting", "looking at what the agent left")
            let workspace = WorkspaceWork(services: services, remote: order?.remote)
            report.workspace = await workspace.collect(
                checkout,
                request,
                subject: record.subject,
                bundle: services.bundlePath(of: key)
            ) { stage, message in
                await self.note(stage, message)
            }
        }
        return report
    }

    /// Runs `body` and ends it when a stop is asked for.
    private func unlessStopped<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws
        -> Value
    {
        let limit = record.deadline.map { Uptime(nanoseconds: $0) }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask { throw Stopped(cause: try await self.stopRequested()) }
            if let limit {
                group.addTask {
                    try await self.services.time.wait(until: limit)
                    throw Stopped(cause: .timedOut)
                }
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    private func finish(_ report: ExecutionReport) async {
        // The worker stops: what runs goes on, and a successor takes it up.
        guard !Task.isCancelled else { return }
        // Nothing runs any more that could use the directory: it goes while the end is written.
        async let wiped: Void = PrivateDirectory.wipe(record.temporaryDirectory)
        guard await store(report) else { return }
        await wiped
        hasEnded(report)
        // The end is told first; nobody waits for the holder's forgetting.
        await Task.yield()
        try? await services.holder.forget(key.description)
    }

    /// Returns false when told to stop trying.
    private func store(_ report: ExecutionReport) async -> Bool {
        // Retried: an end that is not durable may not be told, and a full disk may get room again.
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10), jitter: 0)
        while true {
            do {
                try await services.store.end(key, report, at: services.time.now)
                return true
            } catch {
                services.log.error("end of attempt not stored", ["attempt": key, "error": "\(error)"])
                // Without room a database says many things.
                services.reserve.release()
                guard (try? await services.time.wait(for: backoff.next(SystemRandomness()))) != nil else {
                    return false
                }
            }
        }
    }

    private func failed(_ error: any Error, began: Uptime) -> ExecutionReport {
        let cause = (error as? Stopped)?.cause ?? stopCause
        let duration = (services.time.uptime - began).wholeMilliseconds
        if let cause {
            let ending = AgentEnding(
                agent: .command,
                cause: cause,
                end: .signalled(15),
                verdict: nil,
                errorTail: "",
                caps: record.caps
            )
            return ExecutionReport(
                outcome: ending.outcome,
                failure: ending.failure,
                durationMs: duration,
                hasStarted: mayHaveStarted ? nil : false
            )
        }
        var known = BerthError(wrapping: error)
        switch known.code {
        case .programMissing:
            known.code = .agentMissing
            if record.agent == .claude {
                known.message = "the Claude CLI is not installed in the environment"
                known.remedy = "put 'claude' on the environment's PATH"
            }
        case .directoryUnusable: known.code = .notFound
        case .unavailable:
            known = BerthError(.environmentLost, "the environment's holder went away while the run was on")
        default: break
        }
        services.log.info("attempt failed", ["attempt": key, "code": known.code, "detail": known.detail ?? ""])
        return ExecutionReport(
            outcome: .failed,
            failure: FailureReason(known),
            durationMs: duration,
            hasStarted: mayHaveStarted ? nil : false
        )
    }

    /// The last 4 KiB, for a reason in words.
    private static func tail(of spool: Spool) -> String {
        let length = spool.length
        let bytes = (try? spool.read(from: max(0, length - 4096), upTo: 4096)) ?? []
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Domain.OutputMark {
    init(stored mark: OutputStore.OutputMark) {
        self.init(
            totalBytes: mark.totalBytes,
            headBytes: mark.storedHead,
            tailBytes: mark.storedTail,
            sha256: mark.sha256
        )
    }
}
