internal import Base

/// What a waiter for more output is woken with.
public enum Growth: Equatable, Sendable {
    /// More than the asked-for offset is stored: this many bytes in all.
    case grown(Int64)
    /// Nothing more will come.
    case finished(OutputMark)
}

/// Those waiting for one stream to grow. Owned by the stream's lock; each continuation is resumed exactly once, by
/// whoever takes it out.
struct GrowthWatchers {
    typealias Continuation = CheckedContinuation<Growth, any Error>

    private var waiting: [(id: UInt64, offset: Int64, continuation: Continuation)] = []

    var isEmpty: Bool { waiting.isEmpty }

    mutating func add(id: UInt64, beyond offset: Int64, _ continuation: Continuation) {
        waiting.append((id, offset, continuation))
    }

    mutating func remove(id: UInt64) -> Continuation? {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
        return waiting.remove(at: index).continuation
    }

    /// Those that `length` bytes wake.
    mutating func take(length: Int64) -> [Continuation] {
        guard !waiting.isEmpty else { return [] }
        let woken = waiting.filter { $0.offset < length }
        waiting.removeAll { $0.offset < length }
        return woken.map(\.continuation)
    }

    mutating func takeAll() -> [Continuation] {
        defer { waiting = [] }
        return waiting.map(\.continuation)
    }
}
