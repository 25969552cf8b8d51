internal import Base
public import EventLoop

/// Writes server-sent events to one client.
///
/// A client that does not read holds up nobody else and costs bounded memory: ``offer(_:)`` refuses once more than
/// ``roomBytes`` wait, ``write(_:)`` and ``send(event:id:data:)`` return only when no more than that waits. One that takes
/// no byte for the server's write deadline is cut off; it comes back with the id of the last event that it saw.
public final class EventWriter: Sendable {
    private let body: BodyWriter

    /// Unsent bytes above which a client counts as slow.
    public static let roomBytes = 64 << 10

    init(body: BodyWriter) { self.body = body }

    /// Where ``offer(_:)`` may be called.
    public var loop: EventLoop { body.loop }

    /// Whether ``offer(_:)`` would take a block. On the loop.
    public var hasRoom: Bool { body.hasRoom(Self.roomBytes) }

    /// Hands over the whole block now, or nothing of it: false when the client is slow or gone. The kernel gets the bytes
    /// at once; only what it does not take is copied. On the loop.
    public func offer(_ block: EventBlock) -> Bool {
        loop.preconditionCurrent()
        return body.offer(block, room: Self.roomBytes)
    }

    /// Returns when the client has taken enough for more; throws once it is gone.
    public func write(_ block: EventBlock) async throws { try await body.write(block, room: Self.roomBytes) }

    /// Returns when ``offer(_:)`` would not refuse for slowness; throws once the client is gone.
    public func drained() async throws { try await body.drained(to: Self.roomBytes) }

    /// Ends the connection; the client may come back. On any thread.
    public func close() { body.close() }

    /// Returns when the client has taken enough for more. `event` and `id` must be one line; `data` may be several.
    public func send(event: String? = nil, id: String? = nil, data: String) async throws {
        var encoder = EventEncoder()
        encoder.append(event: event, id: id, data: data.utf8)
        try await write(encoder.finish())
    }
}
