import EventLoop
import Transport

/// Where the events of one viewer go.
protocol EventSink: Sendable {
    /// Whether ``offer(_:)`` would take a block now. On the viewer's loop.
    var hasRoom: Bool { get }
    /// Takes the whole block at once, or nothing of it: false when the viewer is slow or gone. On the viewer's loop.
    func offer(_ block: EventBlock) -> Bool
    /// Returns when the viewer has taken enough for more; throws once it is gone.
    func write(_ block: EventBlock) async throws
    /// Returns when ``offer(_:)`` would not refuse for slowness; throws once the viewer is gone.
    func drained() async throws
}

extension EventWriter: EventSink {}
