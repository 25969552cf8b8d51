import API
import Base
import Domain
import Executions
import Transport
import Workers

/// The documents' own paths (seed 004, section 1.6; origins 4.8).
extension ServerCore {
    /// Runs on a worker that stands alone where such workers are let in, else in the caller's personal environment.
    func compatibilityExecute(_ context: RequestContext) async throws -> HTTPResponse {
        let body: CompatibilityExecute = try await context.body(limit: configuration.maximumBodyBytes)
        var request = CreateExecution()
        request.agent = .claude
        request.prompt = body.prompt
        request.personaId = body.personaId
        var config = body.config ?? RunConfig()
        if config.timeoutMs == nil { config.timeoutMs = body.timeoutMs }
        request.config = config
        let record = try await launch(
            request,
            key: try context.idempotencyKey,
            by: try context.principal,
            onStandingWorker: configuration.usesStandingWorkers
        )
        return try Self.json(
            CompatibilityAccepted(executionId: record.id, status: ExecutionState.queued.rawValue),
            status: 202
        )
    }

    func compatibilityGet(_ context: RequestContext) async throws -> HTTPResponse {
        let id: ExecutionID = try context.id("executionId")
        let principal = try context.principal
        let record = try await executions.get(id, by: principal)
        let lines = try await outputLines(of: record)
        let offset = Int(clamping: try context.integer("offset", default: 0))
        return try Self.json(
            CompatibilityExecution(
                executionId: id,
                status: record.state == .timedOut ? "failed" : record.state.rawValue,
                outputLines: lines.count,
                output: Array(lines.dropFirst(offset)),
                durationMs: record.report?.durationMs,
                sessionId: record.report?.agentSessionID,
                totalCostUsd: record.report?.verdict?.usage.costUSD
            )
        )
    }

    /// Whole lines; the last, unfinished one once the run has ended.
    private func outputLines(of record: ExecutionRecord) async throws -> [String] {
        guard record.attempt > 0 else { return [] }
        var bytes: [UInt8] = []
        var offset: Int64 = 0
        while bytes.count < Self.compatibilityBytes {
            let slice = try await executions.output(of: record, .stdout, from: offset, limit: 1 << 20)
            if slice.bytes.isEmpty { break }
            bytes += slice.bytes
            offset = slice.offset + Int64(slice.bytes.count)
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if !record.state.isTerminal || lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }

    private static let compatibilityBytes = 16 << 20

    func compatibilityCancel(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.cancel(try context.id("executionId"), by: try context.principal)
        return try Self.json(CompatibilityAccepted(executionId: record.id, status: record.state.rawValue))
    }

    func compatibilityStatus(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let records = try await workers.list(
            principal.organizationID,
            visibleTo: principal.visibleUser,
            after: nil,
            limit: 200
        )
        let queued = try await count(.queued, principal)
        let running = try await count(.assigned, principal) + count(.running, principal)
        return try Self.json(
            CompatibilityStatus(
                workers: records.map { worker in
                    .init(
                        workerId: worker.name,
                        status: !worker.isConnected ? "offline" : worker.executions.isEmpty ? "idle" : "executing",
                        currentExecutionId: worker.executions.first?.text
                    )
                },
                queue: .init(queued: queued, running: running),
                token: .init(isConfigured: configuration.secret("claudeToken") != nil)
            )
        )
    }

    /// At most 200 are counted.
    private func count(_ state: ExecutionState, _ principal: Principal) async throws -> Int {
        try await executions.list(ExecutionFilter(states: [state]), after: nil, limit: 200, by: principal)
            .executions.count
    }
}
