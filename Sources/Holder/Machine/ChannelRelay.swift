internal import Glibc
internal import MachineLink

/// Carries connections over the data port: between them and the multiplexer, as fast as the slower side takes them.
/// Owns the sockets of its connections.
struct ChannelRelay {
    private struct Connection {
        var channel: UInt32
        var socket: Int32
        /// For the socket; never more than the channel's window.
        var pending: [UInt8] = []
        /// The socket sends no more.
        var isReadEnded = false
        /// The other side sends no more: the socket is told once `pending` is out.
        var isWriteEnding = false
        var isWriteEnded = false
    }

    /// Above this nothing more is taken from the sockets.
    private static let outputLimit = 262_144

    private let port: Int32
    private var multiplexer: Multiplexer
    private var connections: [Connection] = []
    /// Nothing is sent yet: the other side does not know the marker.
    private var isHeld = false

    init(port: Int32, _ role: Multiplexer.Role) {
        self.port = port
        multiplexer = Multiplexer(role)
    }

    /// A new link: what was open before is closed. The other side's marker is looked for from now on; where it is still
    /// to hear of it, nothing is sent until ``release()``.
    mutating func begin(_ marker: [UInt8], isHeld: Bool = false) {
        self.isHeld = isHeld
        for connection in connections { close(connection.socket) }
        connections = []
        multiplexer.begin(marker)
    }

    mutating func release() { isHeld = false }

    /// Takes over a connection made on this side; it is closed where the link cannot carry it.
    mutating func carry(_ socket: Int32, to target: UInt16) {
        guard let channel = multiplexer.open(target: target) else {
            close(socket)
            return
        }
        connections.append(Connection(channel: channel, socket: Port(socket).descriptor))
    }

    /// Answers an opened channel with a connection, or refuses it with a negative one.
    mutating func accept(_ channel: UInt32, _ socket: Int32) {
        if socket < 0 { return multiplexer.reset(channel) }
        connections.append(Connection(channel: channel, socket: Port(socket).descriptor))
    }

    // MARK: - The loop's side

    var watched: [pollfd] {
        let takes = multiplexer.output.count < Self.outputLimit
        let sends = !isHeld && !multiplexer.output.isEmpty
        var list = [pollfd(fd: port, events: Int16(sends ? POLLIN | POLLOUT : POLLIN), revents: 0)]
        for connection in connections {
            var events: Int32 = 0
            if takes, !connection.isReadEnded, multiplexer.credit(connection.channel) > 0 { events |= POLLIN }
            if !connection.pending.isEmpty { events |= POLLOUT }
            // Without any event only errors would be told, again and again: a negative descriptor is passed over.
            list.append(pollfd(fd: events == 0 ? -1 : connection.socket, events: Int16(events), revents: 0))
        }
        return list
    }

    /// Takes what ``watched`` found, in its order and before anything else changes the connections; what the other side
    /// opened is for ``accept(_:_:)``.
    mutating func handle(_ ready: ArraySlice<pollfd>) throws(ChannelFrame.Violation) -> [Opening] {
        var openings: [Opening] = []
        for (offset, entry) in ready.dropFirst().enumerated().reversed()
        where entry.revents != 0 && entry.fd == connections[offset].socket { handle(offset, entry) }
        if let first = ready.first, first.revents != 0, let bytes = Port.read(port) {
            for event in try multiplexer.receive(bytes[...]) {
                if case .opened(let channel, let target) = event {
                    openings.append(Opening(channel: channel, target: target))
                } else {
                    take(event)
                }
            }
        }
        return openings
    }

    struct Opening {
        var channel: UInt32
        var target: UInt16
    }

    mutating func flush() {
        if !isHeld { Port.write(&multiplexer.output, to: port) }
    }

    // MARK: - Connections

    private mutating func handle(_ index: Int, _ entry: pollfd) {
        let channel = connections[index].channel
        if entry.revents & Int16(POLLOUT) != 0, !drain(index) { return drop(index) }
        // Draining may have ended it.
        guard entry.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0, find(channel) == index,
            !connections[index].isReadEnded
        else { return }
        let room = min(Port.readSize, multiplexer.credit(channel))
        guard room > 0 else { return }
        if let bytes = Port.read(connections[index].socket, upTo: room) {
            multiplexer.write(bytes[...], on: channel)
        } else if entry.revents & Int16(POLLERR) != 0 {
            drop(index)
        } else {
            connections[index].isReadEnded = true
            multiplexer.finish(channel)
            closeIfDone(index)
        }
    }

    private mutating func take(_ event: Multiplexer.Event) {
        switch event {
        case .opened, .writable: return
        case .data(let channel, let bytes):
            guard let index = find(channel) else { return }
            connections[index].pending += bytes
            if !drain(index) { drop(index) }
        case .finished(let channel):
            guard let index = find(channel) else { return }
            connections[index].isWriteEnding = true
            if !drain(index) { drop(index) }
        case .reset(let channel):
            guard let index = find(channel) else { return }
            close(connections.remove(at: index).socket)
        }
    }

    /// False when the socket is gone.
    private mutating func drain(_ index: Int) -> Bool {
        let before = connections[index].pending.count
        guard Port.write(&connections[index].pending, to: connections[index].socket) else { return false }
        multiplexer.consumed(before - connections[index].pending.count, on: connections[index].channel)
        if connections[index].isWriteEnding, connections[index].pending.isEmpty, !connections[index].isWriteEnded {
            connections[index].isWriteEnded = true
            shutdown(connections[index].socket, Int32(SHUT_WR))
            closeIfDone(index)
        }
        return true
    }

    private mutating func closeIfDone(_ index: Int) {
        guard connections[index].isReadEnded, connections[index].isWriteEnded else { return }
        close(connections.remove(at: index).socket)
    }

    private mutating func drop(_ index: Int) {
        let connection = connections.remove(at: index)
        close(connection.socket)
        multiplexer.reset(connection.channel)
    }

    private func find(_ channel: UInt32) -> Int? { connections.firstIndex { $0.channel == channel } }
}
