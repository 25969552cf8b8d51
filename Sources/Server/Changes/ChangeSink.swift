import Transport

/// Where the changes of one viewer go.
protocol ChangeSink: Sendable {
    /// Takes the whole block at once, or nothing of it: false when the viewer is slow or gone. On the viewer's loop.
    func offer(_ block: ChangeBlock) -> Bool
    /// Returns when the viewer has taken enough for more; throws once it is gone.
    func write(_ block: ChangeBlock) async throws
}

extension EventWriter: ChangeSink {
    func offer(_ block: ChangeBlock) -> Bool {
        guard case .events(let events) = block else { return false }
        return offer(events)
    }

    func write(_ block: ChangeBlock) async throws {
        if case .events(let events) = block { try await write(events) }
    }
}

/// A viewer that came by WebSocket.
struct WebSocketChangeSink: ChangeSink {
    let socket: WebSocket

    func offer(_ block: ChangeBlock) -> Bool {
        guard case .messages(let messages) = block, socket.unsentBytes <= EventWriter.roomBytes else { return false }
        return messages.allSatisfy { socket.put(text: $0) }
    }

    func write(_ block: ChangeBlock) async throws {
        guard case .messages(let messages) = block else { return }
        for message in messages { try await socket.send(text: message) }
    }
}
