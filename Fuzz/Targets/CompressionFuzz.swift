import Base

@testable import Transport

/// What a foreign peer sends as compressed, and our own output expanded again.
enum CompressionFuzz {
    /// Any bytes expand within the limit, or are refused, the same however they are cut.
    static func inflate(_ bytes: [UInt8]) {
        let cut = Cut(Array(bytes.dropFirst(2)))
        let (shape, limit) = (bytes.first ?? 0, Int(bytes.dropFirst().first ?? 0) * 64)
        guard let whole = expand([cut.whole], shape, limit), let pieces = expand(cut.pieces, shape, limit) else {
            return Fuzz.check(false, "no memory")
        }
        // zlib sees a distance beyond a small window only where the output it has at hand is as small.
        if shape & 7 == 7 {
            Fuzz.check(whole.end == pieces.end, "whole: \(whole.end)\nin pieces: \(pieces.end)")
            let isSame = whole.end.hasPrefix("refused") || whole.output == pieces.output
            Fuzz.check(isSame, "\(whole.output.count) bytes whole, \(pieces.output.count) in pieces")
        }
        Fuzz.check(whole.output.count <= limit + 1 && pieces.output.count <= limit + 1, "over the limit \(limit)")
    }

    private static func expand(_ pieces: [[UInt8]], _ shape: UInt8, _ limit: Int) -> (output: [UInt8], end: String)? {
        let format: CompressionFormat = shape & 8 == 0 ? .raw : .gzip
        guard let inflater = try? Inflater(format, windowBits: 8 + Int(shape & 7)) else { return nil }
        var output: [UInt8] = []
        var taken = 0
        do throws(BerthError) {
            for piece in pieces {
                switch try inflater.inflate(piece, into: &output, limit: limit - output.count) {
                case .needsMore: taken += piece.count
                case .ended(let consumed): return (output, "ended after \(taken + consumed)")
                }
            }
            return (output, "needs more")
        } catch {
            return (output, "refused: \(error.code)")
        }
    }

    /// Messages of one connection come out as they went in, however they are cut on the way; and so does a stream.
    static func roundTrip(_ bytes: [UInt8]) {
        var source = Source(bytes)
        var wishes = WebSocketCompression()
        wishes.level = 1 + source.number(below: 9)
        wishes.minimumBytes = 0
        wishes.compressesBinary = true
        let direction = DeflateAgreement.Direction(
            windowBits: 8 + source.number(below: 8),
            keepsContext: source.byte() & 1 == 0
        )
        let pool = CompressionPool()
        let deflater = MessageDeflater(direction, wishes: wishes, pool: pool)
        let inflater = MessageInflater(direction, pool: pool)
        let length = 1 + source.number(below: 2000)
        var all: [UInt8] = []
        while !source.isEmpty {
            // Repeated, so that distances reach beyond the window.
            let word = source.bytes(atMost: 255)
            let message = Array([[UInt8]](repeating: word, count: 1 + source.number(below: 200)).joined())
            all += message
            guard let sent = deflater.compress(message, isText: false) else { continue }
            var received: [UInt8] = []
            do throws(WebSocketViolation) {
                for start in stride(from: 0, to: sent.count, by: length) {
                    let piece = Array(sent[start..<min(start + length, sent.count)])
                    try inflater.expand(piece, into: &received, limit: message.count)
                }
                try inflater.finish(into: &received, limit: message.count)
            } catch {
                Fuzz.check(false, "our own \(sent.count) bytes are refused: \(error)")
            }
            Fuzz.check(received == message, "\(message.count) bytes became \(received.count) others")
        }
        wrap(all, level: wishes.level)
    }

    private static func wrap(_ bytes: [UInt8], level: Int) {
        guard let deflater = try? Deflater(.gzip, level: level), let inflater = try? Inflater(.gzip) else { return }
        var sent: [UInt8] = []
        deflater.deflate(bytes, flush: .none, into: &sent)
        deflater.deflate([], flush: .finish, into: &sent)
        let length = sent.count
        sent += [1, 2, 3]
        var received: [UInt8] = []
        let progress = try? inflater.inflate(sent, into: &received, limit: bytes.count)
        Fuzz.check(progress == .ended(consumed: length) && received == bytes, "gzip: \(String(describing: progress))")
    }
}
