import MachineLink
import Testing

/// Guest and host joined by a stream that is moved by hand.
private struct Pair {
    var guest = Multiplexer(.guest)
    var host = Multiplexer(.host)
    static let marker = [UInt8](1...16)

    init() { begin() }

    mutating func begin() {
        guest.begin(Self.marker)
        host.begin(Self.marker)
    }

    mutating func opened(_ target: UInt16) throws -> UInt32 {
        let channel = guest.open(target: target)
        return try #require(channel)
    }

    mutating func toHost(_ limit: Int = .max) throws -> [Multiplexer.Event] {
        let bytes = guest.output.prefix(limit)
        guest.output.removeFirst(bytes.count)
        return try host.receive(bytes)
    }

    mutating func toGuest() throws -> [Multiplexer.Event] {
        let bytes = host.output
        host.output = []
        return try guest.receive(bytes[...])
    }
}

private func expectViolation(
    _ side: inout Multiplexer,
    _ bytes: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    do {
        let events = try side.receive(bytes[...])
        Issue.record("taken: \(events)", sourceLocation: sourceLocation)
    } catch {}
}

@Suite struct MultiplexerTests {
    @Test func `bytes written on one side come out on the other, in order and by channel`() throws {
        var pair = Pair()
        let first = try pair.opened(0)
        let second = try pair.opened(8080)
        pair.guest.write([1, 2, 3], on: first)
        pair.guest.write([4], on: second)
        let events = try pair.toHost()
        #expect(
            events == [
                .opened(channel: first, target: 0), .opened(channel: second, target: 8080),
                .data(channel: first, [1, 2, 3]), .data(channel: second, [4]),
            ]
        )
        pair.host.write([5, 6], on: second)
        let events1 = try pair.toGuest()
        #expect(events1 == [.data(channel: second, [5, 6])])
    }

    @Test func `however the stream is cut, the same events come out`() throws {
        for size in 1...40 {
            var pair = Pair()
            let channel = try pair.opened(7)
            pair.guest.write([UInt8](repeating: 9, count: 100)[...], on: channel)
            pair.guest.finish(channel)
            var events: [Multiplexer.Event] = []
            while !pair.guest.output.isEmpty { events += try pair.toHost(size) }
            #expect(
                events == [
                    .opened(channel: channel, target: 7), .data(channel: channel, [UInt8](repeating: 9, count: 100)),
                    .finished(channel: channel),
                ]
            )
        }
    }

    @Test func `a channel takes no more than its credit, and goes on once the other side has read`() throws {
        var pair = Pair()
        let channel = try pair.opened(0)
        let block = [UInt8](repeating: 7, count: Multiplexer.window)
        pair.guest.write(block[...], on: channel)
        #expect(pair.guest.credit(channel) == 0)
        pair.guest.write([1], on: channel)
        var count = 0
        for event in try pair.toHost() { if case .data(_, let bytes) = event { count += bytes.count } }
        #expect(count == Multiplexer.window)
        pair.host.consumed(Multiplexer.window / 2, on: channel)
        let events2 = try pair.toGuest()
        #expect(events2 == [.writable(channel: channel)])
        #expect(pair.guest.credit(channel) == Multiplexer.window / 2)
    }

    @Test func `one channel without credit does not hold up another`() throws {
        var pair = Pair()
        let full = try pair.opened(0)
        let other = try pair.opened(0)
        pair.guest.write([UInt8](repeating: 7, count: Multiplexer.window)[...], on: full)
        _ = try pair.toHost()
        pair.guest.write([1], on: other)
        let events3 = try pair.toHost()
        #expect(events3 == [.data(channel: other, [1])])
    }

    @Test func `a channel is gone once both sides have finished, or one has reset it`() throws {
        var pair = Pair()
        let channel = try pair.opened(0)
        pair.guest.finish(channel)
        _ = try pair.toHost()
        pair.host.write([3], on: channel)
        pair.host.finish(channel)
        let events4 = try pair.toGuest()
        #expect(events4 == [.data(channel: channel, [3]), .finished(channel: channel)])
        #expect(pair.guest.channelCount == 0)
        #expect(pair.host.channelCount == 0)
        let next = try pair.opened(0)
        pair.guest.write([1], on: next)
        _ = try pair.toHost()
        pair.host.reset(next)
        // What was on its way to a channel that is reset is nobody's fault.
        pair.guest.write([2], on: next)
        let events5 = try pair.toHost()
        #expect(events5 == [])
        let events6 = try pair.toGuest()
        #expect(events6 == [.reset(channel: next)])
        #expect(pair.guest.channelCount == 0)
    }

    @Test func `what was on its way before a new beginning is skipped, also half a frame`() throws {
        var pair = Pair()
        let channel = try pair.opened(0)
        pair.guest.write([UInt8](repeating: 1, count: 1000)[...], on: channel)
        let old = pair.guest.output
        for cut in [0, 1, 15, 16, 17, 29, 500, old.count] {
            pair.begin()
            let fresh = try pair.opened(3)
            let events7 = try pair.host.receive(old.dropFirst(16).prefix(cut))
            #expect(events7 == [])
            let events8 = try pair.toHost()
            #expect(events8 == [.opened(channel: fresh, target: 3)])
        }
    }

    @Test func `nothing is sent or taken before the link has begun`() throws {
        var lone = Multiplexer(.guest)
        let channel = lone.open(target: 0)
        let events = try lone.receive([1, 2, 3])
        #expect(channel == nil)
        #expect(lone.output.isEmpty)
        #expect(events == [])
    }

    @Test(arguments: [
        ChannelFrame.data(channel: 5, [1]), .credit(channel: 1, 1), .credit(channel: 9, 1),
        .open(channel: 1, target: 0),
        .finish(channel: 0), .reset(channel: 77),
    ])
    func `a peer that breaks the rules is found out`(_ frame: ChannelFrame) throws {
        var pair = Pair()
        _ = pair.guest.open(target: 0)
        _ = try pair.toHost()
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        expectViolation(&pair.host, bytes)
    }

    @Test func `a peer that sends more than its credit, or opens without end, is found out`() throws {
        var pair = Pair()
        _ = pair.guest.open(target: 0)
        _ = try pair.toHost()
        var bytes: [UInt8] = []
        for _ in 0...(Multiplexer.window / ChannelFrame.maximumPayload) {
            ChannelFrame.data(channel: 1, [UInt8](repeating: 0, count: ChannelFrame.maximumPayload)).encode(
                into: &bytes
            )
        }
        expectViolation(&pair.host, bytes)
        pair.begin()
        bytes = Pair.marker
        for channel in 1...UInt32(Multiplexer.maximumChannels + 1) {
            ChannelFrame.open(channel: channel, target: 0).encode(into: &bytes)
        }
        expectViolation(&pair.host, bytes)
    }

    @Test func `a host opens no channels for a guest`() throws {
        var pair = Pair()
        var bytes = Pair.marker
        ChannelFrame.open(channel: 1, target: 0).encode(into: &bytes)
        expectViolation(&pair.guest, bytes)
    }

    @Test func `headers that nobody writes are refused`() {
        for bytes: [UInt8] in [
            [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], [2, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
            [2, 0, 0, 0, 1, 0, 0, 0, 1, 128, 0, 0], [4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
            [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ] { #expect(throws: ChannelFrame.Violation.self) { try ChannelFrame.decode(bytes[...]) } }
    }
}
