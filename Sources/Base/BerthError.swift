/// The error of every module border: what a person reads, what a program matches on, what only a log sees.
public struct BerthError: Error, Sendable {
    public var code: ErrorCode
    /// For people: lower case, names the thing and what is wrong with it, without secrets.
    public var message: String
    /// The input field at fault, as the caller wrote it: `config.timeoutMs`, `--timeout`.
    public var field: String?
    /// What to do about it.
    public var remedy: String?
    /// For logs only; never sent to a client.
    public var detail: String?
    public var isRetryable: Bool

    public init(
        _ code: ErrorCode,
        _ message: String,
        field: String? = nil,
        remedy: String? = nil,
        detail: String? = nil,
        isRetryable: Bool = false
    ) {
        self.code = code
        self.message = message
        self.field = field
        self.remedy = remedy
        self.detail = detail
        self.isRetryable = isRetryable
    }

    /// Any error as a ``BerthError``: one of ours as it is, an unknown one as `internal` with its text kept for the log.
    public init(wrapping error: any Error) {
        if let known = error as? BerthError {
            self = known
        } else if error is CancellationError {
            self.init(.cancelled, "the operation was cancelled")
        } else {
            self.init(.internal, "something went wrong inside Berth", detail: String(describing: error))
        }
    }
}

extension BerthError: CustomStringConvertible {
    public var description: String {
        var text = field.map { "\($0): \(message)" } ?? message
        if let remedy { text += " (\(remedy))" }
        return text
    }
}
