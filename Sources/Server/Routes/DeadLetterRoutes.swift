import API
import Base
import Domain
import Executions
import Transport

/// `/v1/dead-letters`, and the attempts of an execution.
extension ServerCore {
    func executionAttempts(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.get(try context.id("executionId"), by: try context.principal)
        let attempts = try await executions.attempts(record.id, organization: record.organizationID)
        return try Self.json(Page(items: attempts.map(ExecutionAttempt.init)))
    }

    func deadLetterList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let page = try await executions.deadLetters(
            principal.organizationID,
            visibleTo: principal.visibleUser,
            after: try context.text("cursor").map { try ExecutionID($0) },
            limit: Int(try context.integer("limit", default: 50))
        )
        return try Self.json(Page(items: page.letters.map(DeadLetter.init), nextCursor: page.next?.text))
    }

    func deadLetterGet(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let record = try await executions.deadLetter(
            try context.id("executionId"),
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        var letter = DeadLetter(record)
        letter.attempts = try await executions.attempts(record.execution.id, organization: principal.organizationID)
            .map(ExecutionAttempt.init)
        return try Self.json(letter)
    }

    func deadLetterRetry(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let created = try await executions.retryDeadLetter(
            try context.id("executionId"),
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        return try Self.json(API.Execution(created.execution), status: 201)
    }

    func deadLetterDrop(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let record = try await executions.dropDeadLetter(
            try context.id("executionId"),
            organization: principal.organizationID,
            by: principal.userID,
            visibleTo: principal.visibleUser
        )
        return try Self.json(DeadLetter(record))
    }
}

extension ExecutionAttempt {
    init(_ history: AttemptHistory) {
        self.init(
            attempt: history.attempt,
            workerId: history.workerID,
            worker: history.workerName,
            environmentId: history.environmentID,
            instance: history.instance,
            assignedAt: history.assignedAt,
            startedAt: history.startedAt,
            endedAt: history.endedAt,
            outcome: history.outcome,
            failure: history.failure
        )
    }
}

extension DeadLetter {
    init(_ record: DeadLetterRecord) {
        self.init(
            executionId: record.execution.id,
            title: record.execution.title,
            environmentId: record.execution.environmentID,
            failures: record.execution.failures,
            failure: record.execution.failure,
            createdAt: record.execution.createdAt,
            deadLetteredAt: record.createdAt,
            expiresAt: record.expiresAt,
            retriedAs: record.retriedAs
        )
    }
}
