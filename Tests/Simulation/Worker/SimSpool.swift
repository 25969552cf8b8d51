import Domain

/// One stream of an attempt on a worker's disk: what the shipped `Spool` promises, in memory. A worker's death leaves it.
final class SimSpool {
    /// Everything the process wrote, as far as it was taken from the pipe.
    private(set) var bytes: [UInt8] = []
    private(set) var mark: OutputMark?
    private let headBytes: Int64
    private var dropped: Int64 = 0
    static let tailBytes: Int64 = 16
    /// Acknowledged bytes go by whole files.
    private static let segmentBytes: Int64 = 16

    init(headBytes: Int64) { self.headBytes = headBytes }

    var length: Int64 { mark?.storedBytes ?? min(Int64(bytes.count), headBytes) }

    func receive(_ new: ArraySlice<UInt8>) { bytes += new }

    func finish(digest: ([UInt8]) -> String) {
        guard mark == nil else { return }
        let total = Int64(bytes.count)
        let head = min(total, headBytes)
        mark = OutputMark(
            totalBytes: total,
            headBytes: head,
            tailBytes: min(total - head, Self.tailBytes),
            sha256: digest(bytes)
        )
    }

    func acknowledge(upTo offset: Int64) {
        guard mark == nil else { return }
        dropped = max(dropped, min(offset, length) / Self.segmentBytes * Self.segmentBytes)
    }

    /// nil for bytes that were acknowledged and removed.
    func read(from offset: Int64, count: Int) -> ArraySlice<UInt8>? {
        let head = min(Int64(bytes.count), headBytes)
        if offset < head {
            guard offset >= dropped else { return nil }
            let end = min(Int(offset) + count, Int(mark.map { $0.isTruncated ? head : $0.totalBytes } ?? head))
            return bytes[Int(offset)..<end]
        }
        guard let mark else { return [] }
        let start = Int(mark.totalBytes - mark.tailBytes + offset - mark.headBytes)
        return bytes[start..<min(start + count, bytes.count)]
    }
}
