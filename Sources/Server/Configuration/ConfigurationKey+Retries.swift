import Base
import Domain

extension ConfigurationKey {
    /// What becomes of executions that the machinery fails.
    static let retries: [ConfigurationKey] = [
        .init(
            "retryDelayMs",
            .integer(10...3_600_000),
            ["BERTH_RETRY_DELAY_MS"],
            default: "5000",
            unit: "ms",
            "from an execution's first failure by the machinery to its next attempt; doubled with each further one"
        ),
        .init(
            "maxFailures",
            .integer(1...10),
            ["BERTH_MAX_FAILURES"],
            default: "3",
            "failures by the machinery until an execution is a dead letter"
        ),
        .init(
            "deadLetterDays",
            .integer(1...365),
            ["BERTH_DEAD_LETTER_DAYS"],
            default: "7",
            unit: "days",
            "how long a dead letter, and its sealed secrets, are kept"
        ),
    ]
}

extension Configuration {
    var executionTimes: ExecutionTimes {
        ExecutionTimes(
            maximumFailures: Int(integer("maxFailures")),
            retryDelay: .milliseconds(integer("retryDelayMs")),
            deadLetter: .seconds(integer("deadLetterDays") * 86_400)
        )
    }
}
