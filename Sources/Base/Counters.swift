import Synchronization

/// A row of counters that one thread adds to and any thread may read. Adding costs no locked instruction; two threads
/// that add to the same counter lose counts.
///
/// `@unchecked Sendable`: the cells are atomic, and their memory lives as long as the row.
public final class Counters: @unchecked Sendable {
    public let count: Int
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    public init(_ count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: count)
        cells.deallocate()
    }

    public func add(_ amount: UInt64 = 1, at index: Int) {
        precondition(index >= 0 && index < count)
        let sum = cells[index].load(ordering: .relaxed) &+ amount
        cells[index].store(sum, ordering: .relaxed)
    }

    public func set(_ value: UInt64, at index: Int) {
        precondition(index >= 0 && index < count)
        cells[index].store(value, ordering: .relaxed)
    }

    public subscript(index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return cells[index].load(ordering: .relaxed)
    }
}
