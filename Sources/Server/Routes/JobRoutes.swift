import API
import Base
import Domain
import Environments
import Jobs
import Transport

/// `/v1/jobs`.
extension ServerCore {
    func jobList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let records = try await jobs.list(
            JobFilter(
                queue: context.text("queue").flatMap { WorkQueue(rawValue: $0) },
                state: context.text("status").flatMap { JobState(rawValue: $0) },
                subject: context.text("environment")
            ),
            organization: principal.organizationID,
            visibleTo: principal.visibleUser,
            after: try context.text("cursor").map { try JobID($0) },
            limit: limit + 1
        )
        let page = records.prefix(limit)
        let next = records.count > limit ? page.last?.id.text : nil
        return try Self.json(Page(items: page.map { Job($0) }, nextCursor: next))
    }

    func jobGet(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let (job, attempts) = try await jobs.get(
            try context.id("jobId"),
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        return try Self.json(Job(job, attempts))
    }

    /// The environment is asked, whose row says what is to be done: a job is no command that could be repeated.
    func jobRetry(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let (organization, visible) = (principal.organizationID, principal.visibleUser)
        let job = try await jobs.get(try context.id("jobId"), organization: organization, visibleTo: visible).job
        guard job.state == .failed else {
            throw BerthError(
                .illegalTransition,
                "the job is \(job.state)",
                remedy: job.state == .completed ? "there is nothing to try again" : "it is tried again by itself"
            )
        }
        let environment = try EnvironmentID(job.subject)
        _ = try await environments.retry(
            environment,
            organization: organization,
            by: principal.userID,
            visibleTo: visible
        )
        let newest = try await jobs.list(
            JobFilter(subject: job.subject),
            organization: organization,
            visibleTo: visible,
            limit: 1
        )
        return try Self.json(Job(newest.first ?? job), status: 202)
    }
}

extension Job {
    init(_ record: JobRecord, _ attempts: [JobAttempt]? = nil) {
        self.init(
            id: record.id,
            queue: record.queue.rawValue,
            action: record.action,
            environmentId: record.subject,
            status: record.state.rawValue,
            attempt: record.attempt,
            failures: record.failures,
            maximumAttempts: record.maximumAttempts,
            requests: record.wishes,
            createdAt: record.createdAt
        )
        failure = record.failure
        serverId = record.holder?.replica
        nextAt = record.state == .queued ? record.runAt : nil
        startedAt = record.startedAt
        endedAt = record.endedAt
        self.attempts = attempts?.map { attempt in
            JobTurn(
                attempt: attempt.attempt,
                serverId: attempt.replica,
                startedAt: attempt.startedAt,
                endedAt: attempt.endedAt,
                outcome: attempt.outcome?.rawValue,
                code: attempt.code,
                message: attempt.message
            )
        }
    }
}
