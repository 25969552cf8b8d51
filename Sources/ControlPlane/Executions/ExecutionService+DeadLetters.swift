public import Base
import Database
import Domain

// Dead letters: what was given up, for a person to look at, run again or drop.
extension ExecutionService {
    /// Every attempt of an execution, oldest first.
    public func attempts(_ id: ExecutionID, organization: OrganizationID) async throws -> [AttemptHistory] {
        try await database.read { connection in
            try connection.rows(ExecutionStore.attempts, id, organization).map { row in
                AttemptHistory(
                    attempt: try row.int("attempt"),
                    workerID: try row.optionalID("worker_id"),
                    workerName: try row.optionalText("worker_name"),
                    environmentID: try row.optionalID("environment_id"),
                    instance: try row.optionalInteger("instance"),
                    assignedAt: try row.timestamp("assigned_at"),
                    startedAt: try row.optionalTimestamp("started_at"),
                    endedAt: try row.optionalTimestamp("ended_at"),
                    outcome: try row.optionalText("outcome"),
                    failure: try row.optionalText("failure_code").map { code in
                        FailureReason(ErrorCode(rawValue: code), try row.optionalText("failure_message") ?? "")
                    }
                )
            }
        }
    }

    /// - Parameter user: nil to see those of every member.
    public func deadLetters(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: ExecutionID?,
        limit: Int
    ) async throws -> DeadLetterPage {
        let rows = try await database.read {
            try $0.rows(DeadLetterStore.page, organization, user, after, limit + 1)
        }
        var letters: [DeadLetterRecord] = []
        for row in rows.prefix(limit) { letters.append(try await letter(row, organization)) }
        return DeadLetterPage(letters: letters, next: rows.count > limit ? letters.last?.execution.id : nil)
    }

    public func deadLetter(_ id: ExecutionID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> DeadLetterRecord
    {
        guard let row = try await database.read({ try $0.first(DeadLetterStore.byID, id, organization, user) }) else {
            throw Self.unknownLetter(id)
        }
        return try await letter(row, organization)
    }

    private func letter(_ row: Row, _ organization: OrganizationID) async throws -> DeadLetterRecord {
        DeadLetterRecord(
            execution: try await get(try row.id("execution_id"), organization: organization, visibleTo: nil),
            retriedAs: try row.optionalID("retried_as"),
            createdAt: try row.timestamp("created_at"),
            expiresAt: try row.timestamp("expires_at")
        )
    }

    /// Runs it again as a new execution with the same input, on behalf of the same owner. The letter's own end stays what
    /// it is: an execution has one. A second retry is a `conflict`.
    public func retryDeadLetter(
        _ id: ExecutionID,
        organization: OrganizationID,
        visibleTo user: UserID?
    ) async throws -> CreatedExecution {
        let letter = try await deadLetter(id, organization: organization, visibleTo: user)
        if let known = letter.retriedAs {
            throw BerthError(
                .conflict,
                "dead letter \(id) was retried as \(known)",
                remedy: "see it with: berth show \(known)"
            )
        }
        let record = letter.execution
        let input = try await input(of: record)
        let secrets = input.secrets.reveal()
        var request = NewExecution(
            organizationID: organization,
            ownerID: record.ownerID,
            environmentID: record.environmentID,
            spec: record.spec,
            prompt: input.prompt,
            command: input.command,
            workspaceID: record.workspaceID,
            personaID: record.personaID,
            environment: Secret(secrets.env),
            gitCredentials: Secret(secrets.git),
            ssh: secrets.ssh.map { Secret($0) }
        )
        request.retryOf = id
        return try await create(request)
    }

    /// Forgets the letter and the secrets kept for its retry.
    public func dropDeadLetter(
        _ id: ExecutionID,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> DeadLetterRecord {
        let letter = try await deadLetter(id, organization: organization, visibleTo: visibleTo)
        guard try await remove(id, organization, owner: letter.execution.ownerID, "execution.deadLetterDropped", user)
        else { throw Self.unknownLetter(id) }
        return letter
    }

    private func remove(
        _ id: ExecutionID,
        _ organization: OrganizationID,
        owner: UserID,
        _ fact: String,
        _ actor: UserID?
    ) async throws -> Bool {
        let now = time.now
        return try await feed.transaction(organization: organization) { transaction in
            guard try DeadLetterStore.remove(id, organization, in: transaction) else { return false }
            transaction.record(NewEvent(fact, subject: id, ownerID: owner, actorID: actor, at: now))
            return true
        }
        .value
    }

    /// Removes letters past their time, until cancelled.
    func deadLetterLoop() async throws {
        while true {
            do {
                try await expireDeadLetters()
            } catch {
                try Task.checkCancellation()
                log.error("dead letters not swept", ["error": "\(error)"])
            }
            try await time.wait(for: .seconds(600))
        }
    }

    func expireDeadLetters() async throws {
        while true {
            let now = time.now
            let expired = try await database.read { try $0.rows(DeadLetterStore.expired, now) }
            for row in expired {
                _ = try await remove(
                    try row.id("execution_id"),
                    try row.id("organization_id"),
                    owner: try row.id("owner_id"),
                    "execution.deadLetterExpired",
                    nil
                )
            }
            if expired.count < 100 { return }
        }
    }

    static func unknownLetter(_ id: ExecutionID) -> BerthError {
        BerthError(.notFound, "there is no dead letter \(id)", remedy: "list them with 'berth dlq ls'")
    }
}
