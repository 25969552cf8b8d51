public import Base

/// An error as it travels (RFC 9457, `application/problem+json`), with a stable `code` to match on.
public struct Problem: Sendable, Codable, Equatable {
    /// `about:blank`: the meaning is in `code`.
    public var type: String
    public var title: String
    public var status: Int
    public var detail: String
    public var code: ErrorCode
    /// The input field at fault.
    public var field: String?
    /// What to do about it.
    public var remedy: String?
    public var isRetryable: Bool
    public var requestId: String?

    public static let mediaType = "application/problem+json"

    public init(_ error: BerthError, requestId: String? = nil) {
        type = "about:blank"
        title = error.code.rawValue.split(separator: "_").joined(separator: " ")
        status = error.code.httpStatus
        detail = error.message
        code = error.code
        field = error.field
        remedy = error.remedy
        isRetryable = error.isRetryable
        self.requestId = requestId
    }

    public var error: BerthError {
        BerthError(code, detail, field: field, remedy: remedy, isRetryable: isRetryable)
    }
}

extension Schema {
    static let problem = Schema.object(
        name: "Problem",
        members: [
            .required("type", .string(), "about:blank"),
            .required("title", .string(), "the code in words"),
            .required("status", .integer(), "the HTTP status"),
            .required("detail", .string(), "what is wrong, for people"),
            .required("code", .string(), "stable name to match on"),
            .optional("field", .string(), "the input field at fault"),
            .optional("remedy", .string(), "what to do about it"),
            .required("isRetryable", .boolean, "whether the same request may work later"),
            .optional("requestId", .string(), "the request's id in the server's log"),
        ]
    )
}
