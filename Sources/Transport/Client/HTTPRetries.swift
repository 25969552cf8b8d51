public import Base

/// How often, and when, a request that may be repeated is sent again: after a connection that failed, and after an
/// answer that says to come back.
public struct HTTPRetries: Sendable {
    /// Tries after the first.
    public var maximum: Int
    public var backoff: Backoff
    /// A server that asks for a longer wait (`retry-after`) is not asked again; its answer is handed out.
    public var longestWait: Duration

    public init(
        maximum: Int,
        backoff: Backoff = Backoff(first: .milliseconds(200), limit: .seconds(10), jitter: 0.5),
        longestWait: Duration = .seconds(30)
    ) {
        self.maximum = maximum
        self.backoff = backoff
        self.longestWait = longestWait
    }

    public static let none = HTTPRetries(maximum: 0)
    public static let standard = HTTPRetries(maximum: 3)

    func plan(for request: HTTPClientRequest) -> HTTPRetryPlan {
        HTTPRetryPlan(left: request.isRepeatable ? maximum : 0, backoff: backoff, longestWait: longestWait)
    }
}

/// The tries that one request has left. Pure.
struct HTTPRetryPlan {
    private var left: Int
    private var backoff: Backoff
    private let longestWait: Duration

    init(left: Int, backoff: Backoff, longestWait: Duration) {
        self.left = left
        self.backoff = backoff
        self.longestWait = longestWait
    }

    /// The wait before the next try; nil when the response is to be handed out.
    mutating func pause(after response: HTTPClientResponse, now: Timestamp, randomness: any Randomness) -> Duration? {
        guard left > 0, [429, 502, 503, 504].contains(response.status) else { return nil }
        let own = backoff.next(randomness)
        let asked = response.headers["retry-after"].flatMap { Self.wait($0, now: now) } ?? .zero
        guard asked <= longestWait else { return nil }
        left -= 1
        return max(asked, own)
    }

    /// The wait before the next try; nil when the error is to be thrown.
    mutating func pause(after error: BerthError, randomness: any Randomness) -> Duration? {
        guard left > 0, error.isRetryable, error.code == .network || error.code == .timedOut else { return nil }
        left -= 1
        return backoff.next(randomness)
    }

    /// `retry-after`: seconds, or a date (RFC 9110, section 10.2.3).
    static func wait(_ text: String, now: Timestamp) -> Duration? {
        let text = text.trimmed
        if let seconds = Int64(text), seconds >= 0 { return .seconds(min(seconds, 1 << 31)) }
        guard let date = HTTPDate.seconds(text) else { return nil }
        return max(.zero, .milliseconds(date * 1000 - now.milliseconds))
    }
}
