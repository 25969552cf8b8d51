/// Closes values before they are stored: messages may carry prompts and logins. A value opens only in the topic that it
/// was closed for.
public struct ValueSeal: Sendable {
    let close: @Sendable (_ value: [UInt8], _ topic: String) throws -> [UInt8]
    let open: @Sendable (_ value: [UInt8], _ topic: String) throws -> [UInt8]

    public init(
        close: @escaping @Sendable (_ value: [UInt8], _ topic: String) throws -> [UInt8],
        open: @escaping @Sendable (_ value: [UInt8], _ topic: String) throws -> [UInt8]
    ) {
        self.close = close
        self.open = open
    }

    public func closed(_ value: [UInt8]?, for topic: String) throws -> [UInt8]? {
        try value.map { try close($0, topic) }
    }

    public func opened(_ value: [UInt8]?, of topic: String) throws -> [UInt8]? {
        try value.map { try open($0, topic) }
    }
}
