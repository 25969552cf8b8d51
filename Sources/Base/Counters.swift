import Synchronization

/// A row of counters that one thread adds to and any thread may read. Adding costs no locked instruction; two threads
/// that add to the same counter at once lose counts, and nothing else.
public final class Counters: Sendable {
    public let count: Int
    private let blocks: [Block]

    private final class Block: Sendable {
        static let size = 64
        let cells = InlineArray<64, Atomic<UInt64>> { _ in Atomic(0) }
    }

    public init(_ count: Int) {
        self.count = count
        blocks = (0..<(count + Block.size - 1) / Block.size).map { _ in Block() }
    }

    public func add(_ amount: UInt64 = 1, at index: Int) { set(self[index] &+ amount, at: index) }

    public func set(_ value: UInt64, at index: Int) {
        blocks[index / Block.size].cells[index % Block.size].store(value, ordering: .relaxed)
    }

    public subscript(index: Int) -> UInt64 {
        blocks[index / Block.size].cells[index % Block.size].load(ordering: .relaxed)
    }
}
