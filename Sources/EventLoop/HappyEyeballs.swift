internal import Base

/// In which order, and when, several addresses of a host are tried (RFC 8305). Pure.
struct HappyEyeballs {
    /// What to do next.
    enum Step: Equatable {
        case begin(SocketAddress)
        /// Nothing until an attempt ends or the pause is over.
        case wait
        /// Every attempt has failed.
        case giveUp
    }

    /// Between two attempts while none has ended (section 5).
    static let pause = Duration.milliseconds(250)

    private var waiting: ArraySlice<SocketAddress>
    private var running = 0

    init(_ addresses: [SocketAddress]) { waiting = Self.ordered(addresses)[...] }

    var hasMore: Bool { !waiting.isEmpty }

    /// At the start, and when the pause is over.
    mutating func next() -> Step {
        guard let address = waiting.popFirst() else { return running > 0 ? .wait : .giveUp }
        running += 1
        return .begin(address)
    }

    /// An attempt has failed: the next one need not wait.
    mutating func failed() -> Step {
        running -= 1
        return next()
    }

    /// The families take turns, IPv6 first, each in the order given (section 4).
    static func ordered(_ addresses: [SocketAddress]) -> [SocketAddress] {
        let first = addresses.filter { $0.family != .ipv4 }
        let second = addresses.filter { $0.family == .ipv4 }
        var result: [SocketAddress] = []
        for index in 0..<max(first.count, second.count) {
            if index < first.count { result.append(first[index]) }
            if index < second.count { result.append(second[index]) }
        }
        return result
    }
}
