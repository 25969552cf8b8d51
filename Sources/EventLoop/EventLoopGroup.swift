public import Base
internal import Synchronization

/// A fixed number of loops, started together and handed out in turn.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// `count` loops, at least one, named `name-0`, `name-1`, ...
    public init(count: Int, name: String = "loop") throws(BerthError) {
        var loops: [EventLoop] = []
        for index in 0..<max(1, count) { loops.append(try EventLoop(name: "\(name)-\(index)")) }
        self.loops = loops
    }

    public func start() { for loop in loops { loop.start() } }
    public func stop() { for loop in loops.reversed() { loop.stop() } }

    public func next() -> EventLoop {
        loops[Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(loops.count))]
    }
}
