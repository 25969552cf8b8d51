/// One end of the data port: many connections over one stream of bytes, each with its own credit so that one that nobody
/// reads holds up no other. The guest opens channels, the host accepts them. Does no I/O: bytes go in and out, and what
/// happened comes back as events.
///
/// After ``begin(_:)`` what arrives is skipped up to the marker both sides agreed on: a snapshot or a kill may have left
/// half a frame on its way.
package struct Multiplexer {
    package static let window = 262_144
    package static let maximumChannels = 256
    package static let markerSize = 16

    package enum Role: Sendable { case guest, host }

    package enum Event: Equatable {
        case opened(channel: UInt32, target: UInt16)
        case data(channel: UInt32, [UInt8])
        /// The other side sends no more; what it sent before has been delivered.
        case finished(channel: UInt32)
        /// Gone; also told to this side's connection when the peer has reset it.
        case reset(channel: UInt32)
        /// More may be sent on this channel.
        case writable(channel: UInt32)
    }

    private struct Channel {
        var number: UInt32
        /// Bytes that this side may still send.
        var credit = Multiplexer.window
        /// Bytes that the other side may still send.
        var allowance = Multiplexer.window
        /// Bytes this side's connection has taken and that were not given back as credit yet.
        var taken = 0
        var isFinishedHere = false
        var isFinishedThere = false
    }

    /// Bytes for the port, in order; the owner removes what it has written.
    package var output: [UInt8] = []
    private let role: Role
    private var input: [UInt8] = []
    private var channels: [Channel] = []
    private var nextChannel: UInt32 = 1
    /// nil until the link has begun; empty once its marker has been seen.
    private var marker: [UInt8]?

    package init(_ role: Role) { self.role = role }

    /// Whether frames may be sent.
    package var hasBegun: Bool { marker != nil }
    package var channelCount: Int { channels.count }

    /// Begins anew, with nothing open; the connections of before are the caller's to close.
    package mutating func begin(_ marker: [UInt8]) {
        self = Multiplexer(role)
        self.marker = marker
        output = marker
    }

    // MARK: - What this side does

    /// nil when there are too many, or the link has not begun.
    package mutating func open(target: UInt16) -> UInt32? {
        guard hasBegun, channels.count < Self.maximumChannels else { return nil }
        let channel = nextChannel
        nextChannel += 1
        channels.append(Channel(number: channel))
        send(.open(channel: channel, target: target))
        return channel
    }

    /// How many bytes ``write(_:on:)`` may take now.
    package func credit(_ channel: UInt32) -> Int { find(channel).map { channels[$0].credit } ?? 0 }

    package mutating func write(_ bytes: ArraySlice<UInt8>, on channel: UInt32) {
        guard let index = find(channel), !channels[index].isFinishedHere, bytes.count <= channels[index].credit else {
            return
        }
        channels[index].credit -= bytes.count
        var rest = bytes
        while !rest.isEmpty {
            let part = rest.prefix(ChannelFrame.maximumPayload)
            send(.data(channel: channel, Array(part)))
            rest = rest.dropFirst(part.count)
        }
    }

    package mutating func finish(_ channel: UInt32) {
        guard let index = find(channel), !channels[index].isFinishedHere else { return }
        channels[index].isFinishedHere = true
        send(.finish(channel: channel))
        removeIfDone(index)
    }

    package mutating func reset(_ channel: UInt32) {
        guard let index = find(channel) else { return }
        channels.remove(at: index)
        send(.reset(channel: channel))
    }

    /// This side's connection has taken `count` bytes that came as data.
    package mutating func consumed(_ count: Int, on channel: UInt32) {
        guard let index = find(channel) else { return }
        channels[index].taken += count
        guard channels[index].taken >= Self.window / 4 else { return }
        let taken = channels[index].taken
        channels[index].taken = 0
        channels[index].allowance += taken
        send(.credit(channel: channel, UInt32(taken)))
    }

    // MARK: - What the other side does

    package mutating func receive(_ bytes: ArraySlice<UInt8>) throws(ChannelFrame.Violation) -> [Event] {
        guard hasBegun else { return [] }
        input += bytes
        guard skipToMarker() else { return [] }
        var events: [Event] = []
        var rest = input[...]
        while let (frame, size) = try ChannelFrame.decode(rest) {
            rest = rest.dropFirst(size)
            if let event = try take(frame) { events.append(event) }
        }
        input = Array(rest)
        return events
    }

    /// Whether the marker has been seen. Keeps no more than could be its beginning.
    private mutating func skipToMarker() -> Bool {
        guard let marker, !marker.isEmpty else { return true }
        var start = 0
        while input.count - start >= marker.count {
            if input[start..<(start + marker.count)].elementsEqual(marker) {
                input.removeFirst(start + marker.count)
                self.marker = []
                return true
            }
            start += 1
        }
        input.removeFirst(start)
        return false
    }

    private mutating func take(_ frame: ChannelFrame) throws(ChannelFrame.Violation) -> Event? {
        switch frame {
        case .open(let channel, let target):
            guard role == .host, channel >= nextChannel, channels.count < Self.maximumChannels else {
                throw ChannelFrame.Violation(message: "channel \(channel) cannot be opened")
            }
            nextChannel = channel + 1
            channels.append(Channel(number: channel))
            return .opened(channel: channel, target: target)
        case .data(let channel, let payload):
            // One that this side has reset may still have bytes on their way.
            guard let index = find(channel) else { return try known(channel) }
            guard channels[index].allowance >= payload.count, !channels[index].isFinishedThere else {
                throw ChannelFrame.Violation(message: "more than the credit on channel \(channel)")
            }
            channels[index].allowance -= payload.count
            return .data(channel: channel, payload)
        case .credit(let channel, let count):
            guard let index = find(channel) else { return try known(channel) }
            guard channels[index].credit + Int(count) <= Self.window else {
                throw ChannelFrame.Violation(message: "more credit than bytes on channel \(channel)")
            }
            channels[index].credit += Int(count)
            return .writable(channel: channel)
        case .finish(let channel):
            guard let index = find(channel) else { return try known(channel) }
            channels[index].isFinishedThere = true
            removeIfDone(index)
            return .finished(channel: channel)
        case .reset(let channel):
            guard let index = find(channel) else { return try known(channel) }
            channels.remove(at: index)
            return .reset(channel: channel)
        }
    }

    /// A frame about a channel that is closed here means nothing; one about a channel that never was is wrong.
    private func known(_ channel: UInt32) throws(ChannelFrame.Violation) -> Event? {
        guard channel > 0, channel < nextChannel else {
            throw ChannelFrame.Violation(message: "channel \(channel) was never opened")
        }
        return nil
    }

    private func find(_ channel: UInt32) -> Int? { channels.firstIndex { $0.number == channel } }

    private mutating func removeIfDone(_ index: Int) {
        if channels[index].isFinishedHere, channels[index].isFinishedThere { channels.remove(at: index) }
    }

    private mutating func send(_ frame: ChannelFrame) { frame.encode(into: &output) }
}
