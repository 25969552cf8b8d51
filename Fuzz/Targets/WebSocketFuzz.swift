@testable import Transport

/// Frames in both roles: the same messages however the bytes are cut, and whether whole ones take the short way or not.
enum WebSocketFuzz {
    static let limit = 1000

    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        for role in [WebSocketRole.server, .client] {
            let whole = read([cut.whole], role)
            let pieces = read(cut.pieces, role)
            Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
            for pieces in [[cut.whole], cut.pieces] {
                let short = read(pieces, role, takingWhole: true)
                Fuzz.check(whole == short, "whole: \(whole)\nthe short way: \(short)")
            }
        }
    }

    private static func read(_ pieces: [[UInt8]], _ role: WebSocketRole, takingWhole: Bool = false) -> [String] {
        var parser = WebSocketParser(role: role, maximumMessageBytes: limit)
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
}
