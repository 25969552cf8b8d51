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
        var offset = start
        var acknowledged = start
        while true {
            if spool.length > offset {
                do {
                    offset += try await send(spool, from: offset, on: channel)
                } catch let error as BerthError where error.code == .notFound {
                    // The server asks for what it once had stored. It is gone here; only the total can be told.
                    attempt.services.log.error("output asked for again is gone", ["attempt": attempt.key])
                    offset = .max
                    continue
                }
                let durable = min(channel.credit.durable, offset)
                if durable > acknowledged {
                    acknowledged = durable
                    attempt.services.reserve.spend { try spool.acknowledge(upTo: durable) }
                }
            } else if case .finished(let mark) = try await spool.waitForGrowth(beyond: offset),
                // The end may bring a tail with it.
                spool.length <= offset
            {
                try await connection.send(.end(channel: channel.number, total: mark.totalBytes))
                return await connection.forget(channel)
            }
        }
    }

    /// Sends the next piece and returns its length.
    private func send(_ spool: Spool, from offset: Int64, on channel: LinkConnection.Channel) async throws -> Int64 {
        let mark = spool.mark
        let head = mark?.storedHead ?? spool.length
        if let mark, offset >= head {
            // The tail is small and comes last; it needs no credit.
            let bytes = try spool.read(from: offset, upTo: ChannelFrame.maximumPayload)
            let place = mark.totalBytes - mark.storedTail + (offset - head)
            if mark.isTruncated {
                try await connection.send(.tail(channel: channel.number, offset: place, bytes: bytes[...]))
            } else {
                try await connection.send(.data(channel: channel.number, offset: offset, bytes: bytes[...]))
            }
            return Int64(bytes.count)
        }
        try await channel.credit.wait(beyond: offset)
        let room = min(channel.credit.limit, head) - offset
        let bytes = try spool.read(from: offset, upTo: Int(min(room, Int64(ChannelFrame.maximumPayload))))
        try await connection.send(.data(channel: channel.number, offset: offset, bytes: bytes[...]))
        return Int64(bytes.count)
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
