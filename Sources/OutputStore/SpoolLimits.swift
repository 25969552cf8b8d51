/// How much of a stream a ``Spool`` keeps. The process is never held up by it: what does not fit is dropped and counted.
public struct SpoolLimits: Equatable, Sendable {
    /// The first bytes, kept always. Default 10 MB (10,000,000 bytes).
    public var headBytes: Int64
    /// The last bytes, kept beyond the head. Default 64 KiB.
    public var tailBytes: Int64
    /// Longest file. Default 4 MiB.
    public var segmentBytes: Int64
    /// Files beyond the head are removed when this much of them is no longer needed: each removal costs one fsync.
    /// Default 8 MiB.
    public var slackBytes: Int64

    public init(
        headBytes: Int64 = 10_000_000,
        tailBytes: Int64 = 64 << 10,
        segmentBytes: Int64 = 4 << 20,
        slackBytes: Int64 = 8 << 20
    ) {
        self.headBytes = max(0, headBytes)
        self.tailBytes = max(0, tailBytes)
        self.segmentBytes = max(4096, segmentBytes)
        self.slackBytes = max(0, slackBytes)
    }

    /// Room left in a segment that began at `start` and holds `size`: a segment lies either in the head or beyond it.
    func room(start: Int64, size: Int64) -> Int64 {
        let longest = start < headBytes ? min(segmentBytes, headBytes - start) : segmentBytes
        return longest - size
    }

    /// What is stored of `total` bytes.
    func stored(of total: Int64) -> (head: Int64, tail: Int64) {
        let head = min(total, headBytes)
        return (head, min(total - head, tailBytes))
    }
}
