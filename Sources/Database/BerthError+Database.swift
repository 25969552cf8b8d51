package import Base

extension BerthError {
    /// A Swift string is valid UTF-8 by construction; NUL is the one code point PostgreSQL refuses.
    package static func textWithNUL(value number: Int) -> BerthError {
        BerthError(
            .invalidValue,
            "text must not contain the NUL character",
            remedy: "remove it and send the request again",
            detail: "value $\(number)"
        )
    }

    package static var databaseClosed: BerthError {
        BerthError(.unavailable, "the database is closed", isRetryable: true)
    }

    package static func noDatabaseThread(_ error: ThreadError) -> BerthError {
        BerthError(
            .unavailable,
            "no thread could be started for the database",
            remedy: "raise the limit of processes (ulimit -u)",
            detail: "errno \(error.code)",
            isRetryable: true
        )
    }

    package static func readThatWrites(_ text: String) -> BerthError {
        BerthError(.internal, "a read tried to write to the database", detail: text)
    }

    package static var readTooLong: BerthError {
        BerthError(
            .timedOut,
            "a database read took too long",
            remedy: "ask for a smaller page",
            isRetryable: true
        )
    }

    package static var usedAfterTransaction: BerthError {
        BerthError(.internal, "a database connection was used after its transaction ended")
    }
}

extension DatabaseJob {
    /// Ends a job that did not run.
    package func refuse(_ error: BerthError) {
        if begin() { finish(error) }
    }
}
