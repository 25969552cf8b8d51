/// Bytes that wait for credit, first in, first out. Empty, it holds no memory.
struct Backlog {
    private var bytes: [UInt8] = []
    private var start = 0

    var isEmpty: Bool { start == bytes.count }
    var count: Int { bytes.count - start }

    mutating func append(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

    /// Offers what waits to `take`, which returns how many bytes it has taken.
    mutating func drain(_ take: (UnsafeRawBufferPointer) -> Int) {
        guard !isEmpty else { return }
        let waiting = bytes
        start += waiting.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        guard start == bytes.count else { return }
        bytes = []
        start = 0
    }
}
