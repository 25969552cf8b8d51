internal import Base
internal import Domain
internal import OutputStore
internal import WorkerProtocol

/// Tells one server of one attempt, over one connection: that it runs, its output from where the server has it, its end.
struct AttemptFeed: Sendable {
    let attempt: Attempt
    let connection: LinkConnection
    /// What the server has stored already.
    var stdout: Int64 = 0
    var stderr: Int64 = 0

    /// Returns when the end was sent; throws when the connection is gone.
    func run() async throws {
        var hasStarted = false
        while true {
            let seen = attempt.beacon.revision
            for notice in await attempt.takeNotices() { try await connection.send(notice) }
            if await attempt.isRunning, !hasStarted {
                hasStarted = true
                try await connection.send(
                    .started(.init(executionId: attempt.key.executionID, attempt: attempt.key.attempt))
                )
                break
            }
            if await attempt.hasEnded { break }
            try await attempt.beacon.wait(after: seen)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let spools = await attempt.spools {
                group.addTask { try await feed(.stdout, spools.stdout, from: stdout) }
                group.addTask { try await feed(.stderr, spools.stderr, from: stderr) }
            }
            group.addTask { try await notices() }
            try await group.waitForAll()
        }
        try await complete()
    }

    /// Gives the server the bundle of new commits, before it hears of the end. One that the server will not have is left
    /// out of the report, with the reason.
    private func handOver(_ workspace: WorkspaceOutcome?) async throws -> WorkspaceOutcome? {
        guard var outcome = workspace, let mark = outcome.bundle else { return workspace }
        let services = attempt.services
        do {
            try await services.files.give(services.bundlePath(of: attempt.key), mark, of: attempt.key)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            let problem = BerthError(wrapping: error)
            services.log.warning("bundle not handed over", ["attempt": attempt.key, "error": "\(problem)"])
            outcome.bundle = nil
            outcome.warnings.append("the commits are kept in the workspace alone: \(problem.message)")
        }
        return outcome
    }

    /// Until the attempt has ended.
    private func notices() async throws {
        while true {
            let seen = attempt.beacon.revision
            for notice in await attempt.takeNotices() { try await connection.send(notice) }
            if await attempt.hasEnded { return }
            try await attempt.beacon.wait(after: seen)
        }
    }

    private func feed(_ stream: Domain.OutputStream, _ spool: Spool, from start: Int64) async throws {
        let channel = try await connection.open(attempt.key, stream, from: start)
        var cursor = OutputCursor(from: start)
        while true {
            // In this order: the mark may come in between, and with it a tail.
            let length = spool.length
            let mark = spool.mark.map(Domain.OutputMark.init(stored:))
            switch cursor.next(length: length, mark: mark, limit: channel.credit.limit) {
            case .data(let offset, let count):
                guard let bytes = try read(spool, offset, count, &cursor) else { continue }
                try await connection.send(.data(channel: channel.number, offset: offset, bytes: bytes[...]))
            case .tail(let place, let offset, let count):
                guard let bytes = try read(spool, offset, count, &cursor) else { continue }
                try await connection.send(.tail(channel: channel.number, offset: place, bytes: bytes[...]))
            case .awaitCredit: try await channel.credit.wait(beyond: cursor.offset)
            case .awaitGrowth: _ = try await spool.waitForGrowth(beyond: cursor.offset)
            case .end(let total):
                try await connection.send(.end(channel: channel.number, total: total))
                return await connection.forget(channel)
            }
            if let durable = cursor.stored(channel.credit.durable) {
                attempt.services.reserve.spend { try spool.acknowledge(upTo: durable) }
            }
        }
    }

    /// nil when the server asks for what it once had stored: it is gone here.
    private func read(_ spool: Spool, _ offset: Int64, _ count: Int, _ cursor: inout OutputCursor) throws -> [UInt8]? {
        do {
            let bytes = try spool.read(from: offset, upTo: count)
            cursor.sent(bytes.count)
            return bytes
        } catch let error as BerthError where error.code == .notFound {
            attempt.services.log.error("output asked for again is gone", ["attempt": attempt.key])
            cursor.giveUp()
            return nil
        }
    }

    func complete() async throws {
        guard var report = await attempt.report else { return }
        report.workspace = try await handOver(report.workspace)
        let status: WorkerMessage.Complete.Status =
            switch report.outcome {
            case .completed: .completed
            case .failed, .timedOut: .failed
            case .cancelled: .cancelled
            }
        try await connection.send(
            .complete(
                .init(
                    executionId: await attempt.record.wireID,
                    status: status,
                    exitCode: report.exitCode ?? (report.signal.map { 128 + $0 } ?? -1),
                    durationMs: report.durationMs,
                    attempt: attempt.key.attempt,
                    report: report
                )
            )
        )
    }
}
