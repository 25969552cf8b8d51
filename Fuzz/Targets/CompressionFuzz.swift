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

    /// Messages in one stream, as permessage-deflate sends them, come out as they went in; and so does a whole stream.
    static func roundTrip(_ bytes: [UInt8]) {
        var source = Source(bytes)
        let windowBits = 9 + source.number(below: 7)
        let level = 1 + source.number(below: 9)
        let memoryLevel = 1 + source.number(below: 9)
        let keepsContext = source.byte() & 1 == 0
        guard
            let deflater = try? Deflater(.raw, level: level, windowBits: windowBits, memoryLevel: memoryLevel),
            let inflater = try? Inflater(.raw, windowBits: windowBits)
        else { return Fuzz.check(false, "no memory") }
        var all: [UInt8] = []
        while !source.isEmpty {
            // Repeated, so that distances reach beyond the window.
            let word = source.bytes(atMost: 255)
            let message = Array([[UInt8]](repeating: word, count: 1 + source.number(below: 200)).joined())
            all += message
            var sent: [UInt8] = []
            deflater.deflate(message, flush: .sync, into: &sent)
            // Nothing comes out where nothing is new.
            let hasMark = message.isEmpty && sent.isEmpty || sent.suffix(4).elementsEqual([0, 0, 0xFF, 0xFF])
            Fuzz.check(hasMark, "no mark at the end of \(sent.count) bytes")
            var received: [UInt8] = []
            do throws(BerthError) {
                Fuzz.check(
                    try inflater.inflate(sent, into: &received, limit: message.count) == .needsMore,
                    "a message ended its stream"
                )
            } catch {
                Fuzz.check(false, "our own \(sent.count) bytes are refused: \(error)")
            }
            Fuzz.check(received == message, "\(message.count) bytes became \(received.count) others")
            if !keepsContext {
                deflater.reset()
                inflater.reset()
            }
        }
        wrap(all, level: level)
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
