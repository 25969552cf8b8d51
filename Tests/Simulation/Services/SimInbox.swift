import Workers

/// A connection's frames that nobody has taken: all that have come are taken together, as from a socket.
///
/// Unchecked: used on the simulation's one thread only.
final class SimInbox: @unchecked Sendable {
    let news: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation
    private var waiting: [LinkFrame] = []

    init() { (news, ring) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func add(_ frame: LinkFrame) {
        waiting.append(frame)
        ring.yield()
    }

    func take() -> [LinkFrame] {
        defer { waiting = [] }
        return waiting
    }

    func finish() { ring.finish() }
}
