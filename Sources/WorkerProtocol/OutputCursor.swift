public import Domain

/// How far one stream of an attempt was told to a server over one connection, and what comes next. Pure.
///
/// Offsets count stored bytes: the head and, behind it, the tail of a stream that was capped.
public struct OutputCursor: Sendable, Equatable {
    public enum Step: Sendable, Equatable {
        /// A data frame of at most `count` bytes from `offset` on.
        case data(offset: Int64, count: Int)
        /// A tail frame: the `count` stored bytes from `offset` on, which the process wrote at `place`. Always the whole
        /// tail, whatever part of it the server has: the server puts it behind the head and passes over what it knows.
        case tail(place: Int64, offset: Int64, count: Int)
        /// The server has yet to store what it was sent.
        case awaitCredit
        /// The process has yet to write more, or to end.
        case awaitGrowth
        /// Everything is sent; `total` is what the process wrote.
        case end(total: Int64)
    }

    /// The next stored byte to send.
    public private(set) var offset: Int64
    /// Below this the server has said that it stored everything.
    public private(set) var acknowledged: Int64

    /// - Parameter start: what the server has stored, by its answer to the hello.
    public init(from start: Int64) {
        offset = start
        acknowledged = start
    }

    /// - Parameters:
    ///   - length: stored bytes, read before `mark`: without a mark all of them belong to the head.
    ///   - mark: the stream's end, where it is known.
    ///   - limit: the credit: bytes below it may be sent. A tail is small and comes last; it needs none.
    public func next(length: Int64, mark: OutputMark?, limit: Int64) -> Step {
        let stored = mark.map { $0.storedBytes ?? 0 } ?? length
        guard offset < stored else { return mark.map { .end(total: $0.totalBytes) } ?? .awaitGrowth }
        if let mark, mark.isTruncated, offset >= mark.headBytes {
            return .tail(
                place: mark.totalBytes - mark.tailBytes,
                offset: mark.headBytes,
                count: Int(min(mark.tailBytes, Int64(ChannelFrame.maximumPayload)))
            )
        }
        let end = mark.map { $0.isTruncated ? $0.headBytes : stored } ?? stored
        let room = min(limit, end) - offset
        return room > 0
            ? .data(offset: offset, count: Int(min(room, Int64(ChannelFrame.maximumPayload)))) : .awaitCredit
    }

    public mutating func sent(_ count: Int) { offset += Int64(count) }

    /// What the server asks for is not here any more: only the total can be told.
    public mutating func giveUp() { offset = .max }

    /// The server has stored everything below `durable`. Returns up to where the bytes need not be kept, when that is new.
    public mutating func stored(_ durable: Int64) -> Int64? {
        let durable = min(durable, offset)
        guard durable > acknowledged else { return nil }
        acknowledged = durable
        return durable
    }
}
