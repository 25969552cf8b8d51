import Base

@testable import Transport

/// Frames in both roles, compressed ones too: the same messages however the bytes are cut, and whether whole ones take
/// the short way or not.
enum WebSocketFuzz {
    static let limit = 1000

    static func run(_ bytes: [UInt8]) {
        let shape = bytes.first ?? 0
        let cut = Cut(bytes)
        for role in [WebSocketRole.server, .client] {
            let whole = read([cut.whole], role, shape)
            let pieces = read(cut.pieces, role, shape)
            Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
            for pieces in [[cut.whole], cut.pieces] {
                let short = read(pieces, role, shape, takingWhole: true)
                Fuzz.check(whole == short, "whole: \(whole)\nthe short way: \(short)")
            }
        }
    }

    /// The two highest bits of `shape`: not compressed, each message for itself, or one behind the other.
    private static func inflater(_ shape: UInt8) -> MessageInflater? {
        guard shape & 0x80 != 0 else { return nil }
        return MessageInflater(.init(windowBits: 15, keepsContext: shape & 0x40 != 0), pool: CompressionPool())
    }

    private static func read(
        _ pieces: [[UInt8]],
        _ role: WebSocketRole,
        _ shape: UInt8,
        takingWhole: Bool = false
    ) -> [String] {
        let limits = WebSocketParser.Limits(messageBytes: limit, frameBytes: 900, fragments: 20)
        var parser = WebSocketParser(role: role, limits: limits, inflater: inflater(shape))
        var seen: [String] = []
        for var piece in pieces {
            let isOver = piece.withUnsafeMutableBytes { buffer -> Bool in
                var input = UnsafeRawBufferPointer(buffer)
                do throws(WebSocketViolation) {
                    while true {
                        if takingWhole, let payload = parser.nextWhole(&input) {
                            note(.binary(Array(payload)), in: &seen)
                        } else if let event = try parser.next(&input) {
                            note(event, in: &seen)
                        } else {
                            return parser.isClosed
                        }
                    }
                } catch {
                    seen.append("\(error.code)")
                    return true
                }
            }
            if isOver { break }
        }
        return seen
    }

    private static func note(_ event: WebSocketParser.Event, in seen: inout [String]) {
        if case .binary(let message) = event { Fuzz.check(message.count <= limit, "over the limit") }
        if case .text(let message) = event { Fuzz.check(message.utf8.count <= limit, "over the limit") }
        seen.append("\(event)")
    }

    /// Both sides of permessage-deflate's negotiation: what is answered is what was offered, and means the same to both.
    static func negotiation(_ bytes: [UInt8]) {
        var wishes = WebSocketCompression()
        wishes.windowBits = 9 + Int(bytes.first ?? 0) % 7
        wishes.keepsContext = (bytes.first ?? 0) & 0x80 != 0
        let line = String(decoding: bytes.dropFirst(), as: UTF8.self)
        guard let entries = WebSocketExtension.parse([line]) else { return }
        if let (agreement, answer) = DeflateAgreement.accept(entries, wishes) { check(agreement, answer, entries) }
        if let found = try? DeflateAgreement.check(entries, offered: wishes) { checkBits(found) }
        // The client's own offer, before whatever else a server is offered.
        let offer = WebSocketExtension.parse([DeflateAgreement.offer(wishes), line]) ?? []
        guard let (server, answer) = DeflateAgreement.accept(offer, wishes),
            let answered = WebSocketExtension.parse([answer]),
            let client = try? DeflateAgreement.check(answered, offered: wishes)
        else { return Fuzz.check(false, "our own offer \(DeflateAgreement.offer(wishes)) is not accepted") }
        Fuzz.check(
            client.incoming == server.outgoing && client.outgoing == server.incoming,
            "\(answer) is \(server) to the server and \(client) to the client"
        )
    }

    private static func check(_ agreement: DeflateAgreement, _ answer: String, _ offers: [WebSocketExtension]) {
        checkBits(agreement)
        guard let answers = WebSocketExtension.parse([answer]), answers.count == 1, let answered = answers.first else {
            return Fuzz.check(false, "the answer \(answer) is not of the grammar")
        }
        let mayShrink = offers.contains { $0.parameters.contains { $0.name == "client_max_window_bits" } }
        let asksToShrink = answered.parameters.contains { $0.name == "client_max_window_bits" }
        Fuzz.check(mayShrink || !asksToShrink, "\(answer) to \(offers)")
    }

    private static func checkBits(_ agreement: DeflateAgreement) {
        for direction in [agreement.incoming, agreement.outgoing] {
            Fuzz.check((8...15).contains(direction.windowBits), "\(agreement)")
        }
    }
}
