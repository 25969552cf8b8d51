import Base
import WorkerProtocol

/// What a worker and a server say to each other: whatever is accepted is written back as the same message.
enum MessageFuzz {
    static func channel(_ bytes: [UInt8]) {
        guard let frame = try? ChannelFrame(decoding: bytes) else { return }
        Fuzz.check(frame.encoded() == bytes, "\(frame)")
    }

    /// The books of a TCP channel, whatever its other end does.
    static func flow(_ bytes: [UInt8]) {
        var source = Source(bytes)
        var flow = TCPFlow()
        while !source.isEmpty {
            let (choice, number) = (source.byte(), source.byte() & 1 == 0 ? source.integer() & .max : flow.received)
            switch choice % 6 {
            case 0: flow.receiveCredit(limit: number)
            case 1, 2: try? flow.receive(offset: number, count: source.number(below: ChannelFrame.maximumPayload))
            case 3: try? flow.receiveEnd(total: number)
            case 4: flow.send(min(flow.credit, source.number(below: ChannelFrame.maximumPayload)))
            default: _ = flow.grant(waiting: source.number(below: 60_000) & Int(flow.received))
            }
            Fuzz.check(flow.credit >= 0 && flow.sent >= 0 && flow.received >= 0, "\(flow)")
        }
    }

    static func worker(_ bytes: [UInt8]) { roundTrip(WorkerMessage.self, bytes) }

    static func server(_ bytes: [UInt8]) { roundTrip(ServerMessage.self, bytes) }

    private static func roundTrip<Message: TaggedMessage & Equatable>(_: Message.Type, _ bytes: [UInt8]) {
        guard let message = try? MessageCodec.decode(Message.self, from: bytes) else { return }
        do {
            let again = try MessageCodec.decode(Message.self, from: try MessageCodec.encode(message))
            Fuzz.check(again == message, "\(message)\nbecame \(String(describing: again))")
        } catch {
            Fuzz.check(false, "\(message) was accepted, its own text is not: \(error)")
        }
    }
}
