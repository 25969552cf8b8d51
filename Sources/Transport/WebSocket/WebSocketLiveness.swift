internal import Base

/// When to ping a quiet peer and when to give it up. Pure; the owner asks at the times it is told.
struct WebSocketLiveness {
    private enum State {
        case quiet  // → pinged
        case pinged(Uptime)  // → quiet, doubted
        case doubted(Uptime)  // the time is over; what came in while the loop was held up has yet to be read → quiet
    }

    enum Step: Equatable {
        case wait(until: Uptime)
        case ping(thenWaitUntil: Uptime)
        case giveUp
    }

    /// What the owner sees of the connection.
    struct Sight {
        let now: Uptime
        /// When any byte last came in.
        let heard: Uptime
        /// False while nobody takes messages: the silence is then ours.
        let isReading: Bool
        /// Bytes wait for the peer, so it has not been shown our ping.
        let isBlocked: Bool
    }

    let interval: Duration
    let timeout: Duration
    /// What comes in is no reason to leave a ping out.
    let isRegular: Bool
    private var state = State.quiet
    /// For the loop to read what came in while something held it up.
    static let grace = Duration.milliseconds(100)

    init(interval: Duration, timeout: Duration, isRegular: Bool = false) {
        self.isRegular = isRegular
        self.interval = interval
        self.timeout = timeout
    }

    mutating func step(_ sight: Sight) -> Step {
        if !sight.isReading {
            state = .quiet
            return .wait(until: sight.now + interval)
        }
        switch state {
        case .pinged(let since) where sight.heard < since && sight.now < since + timeout:
            return .wait(until: since + timeout)
        case .pinged(let since) where sight.heard < since:
            state = .doubted(since)
            return .wait(until: sight.now + Self.grace)
        case .doubted(let since) where sight.heard < since:
            guard sight.isBlocked else { return .giveUp }
            state = .pinged(since)
            return .wait(until: sight.now + timeout)
        case .pinged(let since) where isRegular && since + interval > sight.now:
            return .wait(until: since + interval)
        case .quiet, .pinged, .doubted:
            if !isRegular, sight.heard + interval > sight.now {
                state = .quiet
                return .wait(until: sight.heard + interval)
            }
            state = .pinged(sight.now)
            return .ping(thenWaitUntil: sight.now + (isRegular ? min(interval, timeout) : timeout))
        }
    }
}
