import Base
import Testing
import WorkerProtocol

@Suite struct TCPFlowTests {
    private static let window = Int(ChannelFrame.initialCredit)

    @Test func `a sender stops at its credit and goes on with the next`() {
        var flow = TCPFlow()
        #expect(flow.credit == Self.window)
        flow.send(Self.window)
        #expect(flow.credit == 0)
        flow.receiveCredit(limit: Int64(Self.window + 10))
        #expect(flow.credit == 10)
        // An older word that comes late takes nothing back.
        flow.receiveCredit(limit: 5)
        #expect(flow.credit == 10)
    }

    @Test func `credit is given when half the window is passed on, and what waits does not count`() throws {
        var flow = TCPFlow()
        try flow.receive(offset: 0, count: Self.window / 2 - 1)
        #expect(!flow.mayGrant)
        try flow.receive(offset: Int64(Self.window / 2 - 1), count: 1)
        #expect(flow.mayGrant)
        #expect(flow.grant(waiting: 1) == nil)
        #expect(flow.grant(waiting: 0) == Int64(Self.window + Self.window / 2))
        #expect(flow.grant(waiting: 0) == nil)
    }

    @Test func `what breaks the books is refused`() throws {
        var flow = TCPFlow()
        try flow.receive(offset: 0, count: 10)
        for (offset, count) in [(Int64(9), 1), (11, 1), (10, Self.window)] {
            #expect(throws: BerthError.self) { try flow.receive(offset: offset, count: count) }
        }
        #expect(throws: BerthError.self) { try flow.receiveEnd(total: 9) }
        try flow.receiveEnd(total: 10)
        #expect(throws: BerthError.self) { try flow.receiveEnd(total: 10) }
        #expect(throws: BerthError.self) { try flow.receive(offset: 10, count: 0) }
        #expect(!flow.isOver)
        let wasFirst = flow.end()
        let wasSecond = flow.end()
        #expect(wasFirst && !wasSecond && flow.isOver)
    }

    @Test func `two ends that follow the books never starve each other`() throws {
        let randomness = SeededRandomness(seed: 7)
        for _ in 0..<50 {
            var sender = TCPFlow()
            var receiver = TCPFlow()
            var waiting = 0
            var left = 8 << 20
            var idle = 0
            while left > 0 {
                let wish = min(left, Int(randomness.next() % 300_000) + 1)
                let count = min(wish, sender.credit)
                try receiver.receive(offset: sender.sent, count: count)
                sender.send(count)
                left -= count
                waiting += count
                waiting -= Int(randomness.next() % UInt64(waiting + 1))
                if let limit = receiver.grant(waiting: waiting) { sender.receiveCredit(limit: limit) }
                idle = count == 0 ? idle + 1 : 0
                #expect(idle < 200, "\(left) bytes are left")
            }
        }
    }
}

@Suite struct ChannelHeadTests {
    @Test func `a head in memory is the head of the frame`() throws {
        for frame in [
            ChannelFrame.data(channel: 1 << 31, offset: 77, bytes: [1, 2]), .end(channel: 3, total: .max),
            .reset(channel: .max, reason: "gone"),
        ] {
            let bytes = frame.encoded()
            let head = try #require(bytes.withUnsafeBytes { ChannelHead($0) })
            var written = [UInt8](repeating: 0, count: ChannelFrame.headerLength)
            written.withUnsafeMutableBytes { head.write(to: $0.baseAddress.unsafelyUnwrapped) }
            #expect(written == Array(bytes.prefix(ChannelFrame.headerLength)))
        }
        for bytes in [[], [1, 2, 3], [9] + [UInt8](repeating: 0, count: 12), [1] + [UInt8](repeating: 255, count: 12)] {
            #expect(bytes.withUnsafeBytes { ChannelHead($0) } == nil)
        }
    }
}
