internal import Base

/// Tells whether large messages follow each other closely, and so how long the next one is likely to be. Pure.
struct MessageFlow {
    private var last = (length: 0, at: Uptime(nanoseconds: 0))
    /// Bytes of the next message; 0 when nothing is known of it.
    private(set) var next = 0
    /// Of a flow so many messages are taken at a time.
    private static let atOnce = 3

    /// Shorter messages are no flow.
    private static let least = 16 * 1024
    /// Between two messages of a flow.
    private static let closeness = Duration.microseconds(500)

    /// What to wait for.
    /// - Parameter missing: what the message under way lacks; nil between messages.
    func expected(missing: Int?) -> Int { (missing ?? next) + next * (Self.atOnce - 1) }

    mutating func took(_ length: Int, at now: Uptime) {
        let follows = length >= Self.least && last.length >= Self.least && now - last.at <= Self.closeness
        next = follows ? min(length, last.length) : 0
        last = (length, now)
    }
}
