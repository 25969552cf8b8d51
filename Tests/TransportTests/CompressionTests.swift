import Base
import Testing

@testable import Transport

@Suite struct CompressionTests {
    static let text = Array(String(repeating: "every byte of the product goes through it; ", count: 5000).utf8)

    static func noise(_ count: Int) -> [UInt8] {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state)
        }
    }

    @Test(arguments: [CompressionFormat.raw, .gzip])
    func `what goes in comes out, also in pieces`(format: CompressionFormat) throws {
        for bytes in [[], [7], Self.text, Self.noise(100_000)] {
            let deflater = try Deflater(format, level: 1, windowBits: 9, memoryLevel: 1)
            var packed: [UInt8] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                deflater.deflate(Array(rest.prefix(7001)), flush: .none, into: &packed)
                rest = rest.dropFirst(7001)
            }
            deflater.deflate([], flush: .finish, into: &packed)
            let inflater = try Inflater(format)
            var out: [UInt8] = []
            let split = packed.count / 2
            #expect(try inflater.inflate(Array(packed[..<split]), into: &out, limit: bytes.count) == .needsMore)
            let last = Array(packed[split...]) + [1, 2, 3]
            #expect(
                try inflater.inflate(last, into: &out, limit: bytes.count)
                    == .ended(consumed: packed.count - split)
            )
            #expect(out == bytes)
        }
    }

    @Test func `a sync flush brings out all of a message and keeps the window for the next`() throws {
        let deflater = try Deflater(.raw)
        let inflater = try Inflater(.raw)
        var sizes: [Int] = []
        for _ in 0..<3 {
            var packed: [UInt8] = []
            deflater.deflate(Self.noise(2000), flush: .sync, into: &packed)
            #expect(packed.suffix(4) == [0, 0, 0xFF, 0xFF])
            var out: [UInt8] = []
            #expect(try inflater.inflate(packed, into: &out, limit: 2000) == .needsMore)
            #expect(out == Self.noise(2000))
            sizes.append(packed.count)
        }
        #expect(sizes[0] > 2000 && sizes[1] < 100 && sizes[2] < 100)
    }

    @Test func `a bomb is stopped at the limit`() throws {
        var packed: [UInt8] = []
        try Deflater(.raw).deflate([UInt8](repeating: 0, count: 10_000_000), flush: .finish, into: &packed)
        #expect(packed.count < 20_000)
        var out: [UInt8] = []
        #expect {
            _ = try Inflater(.raw).inflate(packed, into: &out, limit: 5000)
        } throws: {
            ($0 as? BerthError)?.code == .tooLarge
        }
        #expect(out.count == 5001)
        var all: [UInt8] = []
        #expect(try Inflater(.raw).inflate(packed, into: &all, limit: 10_000_000) == .ended(consumed: packed.count))
    }

    @Test func `what is not compressed data is refused, and a reset makes good again`() throws {
        let inflater = try Inflater(.raw)
        var out: [UInt8] = []
        #expect {
            _ = try inflater.inflate([0xFF, 0xFF, 0xFF], into: &out, limit: 100)
        } throws: {
            ($0 as? BerthError)?.code == .invalidRequest
        }
        inflater.reset()
        let deflater = try Deflater(.raw)
        var packed: [UInt8] = []
        deflater.deflate(Self.text, flush: .finish, into: &packed)
        deflater.reset()
        var again: [UInt8] = []
        deflater.deflate(Self.text, flush: .finish, into: &again)
        #expect(packed == again)
        out = []
        #expect(try inflater.inflate(packed, into: &out, limit: Self.text.count) == .ended(consumed: packed.count))
        #expect(out == Self.text)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a message of nothing but ends of streams costs time for its length alone`() throws {
        let inflater = MessageInflater(.init(), pool: CompressionPool())
        var message: [UInt8] = []
        let ends = [[UInt8]](repeating: [0x03, 0x00], count: 300_000)
        try inflater.expand(Array(ends.joined()), into: &message, limit: 1000)
        try inflater.finish(into: &message, limit: 1000)
        #expect(message.isEmpty)
    }
}
