import API
import Base
import Domain

/// The attempts of an execution, for people.
enum AttemptTable {
    static func table(_ attempts: [ExecutionAttempt]) -> Table {
        var table = Table(header: ["ATTEMPT", "WORKER", "ASSIGNED", "STARTED", "TOOK", "OUTCOME", "REASON"])
        for attempt in attempts {
            table.rows.append([
                "\(attempt.attempt)", attempt.worker ?? "-", attempt.assignedAt.description,
                attempt.startedAt?.description ?? "-",
                attempt.endedAt.map { DurationText.text(milliseconds: ($0 - attempt.assignedAt).wholeMilliseconds) }
                    ?? "-",
                attempt.outcome ?? "open",
                attempt.failure.map { "\($0.code): \($0.message)" } ?? "-",
            ])
        }
        return table
    }
}
