@testable import Transport

enum WebSocketFuzz {
    static let limit = 1000

    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        for role in [WebSocketRole.server, .client] {
            let whole = read([cut.whole], role)
            let pieces = read(cut.pieces, role)
            Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
        }
    }

    private static func read(_ pieces: [[UInt8]], _ role: WebSocketRole) -> [String] {
        var parser = WebSocketParser(role: role, maximumMessageBytes: limit)
        var seen: [String] = []
        for piece in pieces {
            let isOver = piece.withUnsafeBytes { buffer -> Bool in
                var input = buffer
                do throws(WebSocketViolation) {
                    while let event = try parser.next(&input) {
                        if case .binary(let message) = event { Fuzz.check(message.count <= limit, "over the limit") }
                        if case .text(let message) = event { Fuzz.check(message.utf8.count <= limit, "over the limit") }
                        seen.append("\(event)")
                    }
                    return parser.isClosed
                } catch {
                    seen.append("\(error.code)")
                    return true
                }
            }
            if isOver { break }
        }
        return seen
    }
}
