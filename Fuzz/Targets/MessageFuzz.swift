import Base
import WorkerProtocol

/// What a worker and a server say to each other: whatever is accepted is written back as the same message.
enum MessageFuzz {
    static func channel(_ bytes: [UInt8]) {
        guard let frame = try? ChannelFrame(decoding: bytes) else { return }
        Fuzz.check(frame.encoded() == bytes, "\(frame)")
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
