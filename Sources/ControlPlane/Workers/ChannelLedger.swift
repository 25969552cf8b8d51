import Base
import Domain
import WorkerProtocol

/// The books of one output channel: which byte comes next, how far the sender may go, what is stored.
///
/// Invariant: `durable <= next <= limit`.
struct ChannelLedger: Sendable, Equatable {
    let key: AttemptKey
    let stream: OutputStream
    /// Bytes handed to the store or skipped as already there.
    private(set) var next: Int64
    private(set) var durable: Int64
    private(set) var limit: Int64
    private(set) var total: Int64?

    private let window: Int64

    init(key: AttemptKey, stream: OutputStream, durable: Int64, window: Int64 = ChannelFrame.initialCredit) {
        self.window = window
        self.key = key
        self.stream = stream
        self.durable = durable
        next = durable
        limit = durable + window
    }

    /// The part of a data frame that is new. An overlap is what a worker sends again after a cut link.
    mutating func receive(offset: Int64, bytes: ArraySlice<UInt8>) throws(BerthError) -> (Int64, ArraySlice<UInt8>)? {
        guard total == nil else { throw violation("sends bytes after its end") }
        guard offset <= next else { throw violation("leaves a gap: byte \(offset) came where \(next) was due") }
        let (end, overflow) = offset.addingReportingOverflow(Int64(bytes.count))
        guard !overflow, end <= limit else { throw violation("sends past its credit of \(limit)") }
        guard end > next else { return nil }
        let fresh = bytes.dropFirst(Int(next - offset))
        let start = next
        next = end
        return (start, fresh)
    }

    mutating func end(total: Int64) throws(BerthError) {
        guard total >= next else { throw violation("ends at \(total), before byte \(next) that it sent") }
        self.total = total
    }

    /// The store has everything below `durable`. Returns the new limit when it is time to say so: half the window is
    /// used up.
    mutating func stored(_ durable: Int64) -> Int64? {
        self.durable = max(self.durable, durable)
        next = max(next, self.durable)
        guard total == nil, limit - self.durable <= window / 2 else { return nil }
        limit = self.durable + window
        return limit
    }

    private func violation(_ what: String) -> BerthError {
        BerthError(.protocolViolation, "\(stream.rawValue) of \(key) \(what)")
    }
}
