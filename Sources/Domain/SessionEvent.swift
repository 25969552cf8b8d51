public import Base

/// One line of an agent session's log: the same model for every agent. The members that `type` has are set, no others;
/// a reader passes over types and members that it does not know.
public struct SessionEvent: Sendable, Codable, Equatable {
    /// Open: a newer worker may know more.
    public struct Kind: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
        public let rawValue: String

        public init(rawValue: String) { self.rawValue = rawValue }

        public var description: String { rawValue }

        /// `message`: a person's words, and each change of their state.
        public static let message = Kind(rawValue: "message")
        /// `text`.
        public static let text = Kind(rawValue: "text")
        /// `text`.
        public static let thinking = Kind(rawValue: "thinking")
        /// `id`, `name`, `input`.
        public static let toolCall = Kind(rawValue: "toolCall")
        /// `id`, `text`, `isError`.
        public static let toolResult = Kind(rawValue: "toolResult")
        /// `text`: Markdown, what the agent is going to do; with `request` where it waits for consent.
        public static let plan = Kind(rawValue: "plan")
        /// `request`.
        public static let permission = Kind(rawValue: "permission")
        /// `request`.
        public static let question = Kind(rawValue: "question")
        /// `id` of the request, `answer`.
        public static let answer = Kind(rawValue: "answer")
        /// `usage` of the turn so far.
        public static let usage = Kind(rawValue: "usage")
        /// `status`, `activity`, and `failure` where there is one.
        public static let status = Kind(rawValue: "status")
        /// `name` (`model`, `permissionMode`, `agentSessionId`), `text`: the new value.
        public static let setting = Kind(rawValue: "setting")
        /// `text`: something that a person should know.
        public static let notice = Kind(rawValue: "notice")
        /// `name` (the agent's own type), `input`: a line of the agent's that has no place above.
        public static let other = Kind(rawValue: "other")
    }

    /// Dense from 1 on, in the order of the log.
    public var seq: Int64
    public var at: Timestamp
    /// The turn it belongs to; nil: none.
    public var turn: Int?
    public var type: Kind
    public var id: String?
    public var name: String?
    public var text: String?
    public var input: JSONValue?
    public var isError: Bool?
    /// `text` was longer by so many bytes.
    public var cutBytes: Int?
    public var message: SessionMessage?
    public var request: SessionRequest?
    public var answer: SessionAnswer?
    public var usage: AgentUsage?
    public var status: AgentSessionStatus?
    public var activity: AgentActivity?
    public var failure: FailureReason?

    private init(_ type: Kind) {
        seq = 0
        at = Timestamp(milliseconds: 0)
        self.type = type
    }

    /// As much of `text` as the log keeps.
    private mutating func keep(_ text: String) {
        let count = text.utf8.count
        guard count > AgentSessionLimits.textBytes else {
            self.text = text
            return
        }
        let cut = String(decoding: text.utf8.prefix(AgentSessionLimits.textBytes), as: UTF8.self)
        self.text = cut
        cutBytes = count - AgentSessionLimits.textBytes
    }
}

extension SessionEvent {
    public static func message(_ message: SessionMessage) -> Self {
        var event = Self(.message)
        event.message = message
        return event
    }

    /// - Parameter kind: `text`, `thinking`, `plan` or `notice`.
    public static func words(_ kind: Kind, _ text: String) -> Self {
        var event = Self(kind)
        event.keep(text)
        return event
    }

    public static func toolCall(id: String, name: String, input: JSONValue) -> Self {
        var event = Self(.toolCall)
        event.id = id
        event.name = name
        event.input = input
        return event
    }

    public static func toolResult(id: String, text: String, isError: Bool) -> Self {
        var event = Self(.toolResult)
        event.id = id
        event.keep(text)
        event.isError = isError
        return event
    }

    public static func request(_ request: SessionRequest) -> Self {
        let kind: Kind =
            switch request.kind {
            case .permission: .permission
            case .question: .question
            case .plan: .plan
            }
        var event = Self(kind)
        event.text = request.plan
        event.request = request
        return event
    }

    public static func answer(to request: String, _ answer: SessionAnswer) -> Self {
        var event = Self(.answer)
        event.id = request
        event.answer = answer
        return event
    }

    public static func usage(_ usage: AgentUsage) -> Self {
        var event = Self(.usage)
        event.usage = usage
        return event
    }

    public static func status(_ status: AgentSessionStatus, _ activity: AgentActivity, _ failure: FailureReason?)
        -> Self
    {
        var event = Self(.status)
        event.status = status
        event.activity = activity
        event.failure = failure
        return event
    }

    public static func setting(_ name: String, _ value: String) -> Self {
        var event = Self(.setting)
        event.name = name
        event.text = value
        return event
    }

    public static func other(_ name: String, _ value: JSONValue) -> Self {
        var event = Self(.other)
        event.name = name
        event.input = value
        return event
    }
}
