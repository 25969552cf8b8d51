import Base
import Testing

@testable import Transport

@Suite struct WholeFrameTests {
    /// A frame as a client sends it, or a server.
    private static func frame(
        _ first: UInt8,
        _ payload: [UInt8],
        masked mask: UInt32?
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        WebSocketEncoder.appendHeader(.binary, length: payload.count, mask: mask, to: &bytes)
        bytes[0] = first
        var payload = payload
        if let mask { payload.withUnsafeMutableBytes { WebSocketMask.apply(mask, offset: 0, to: $0) } }
        return bytes + payload
    }

    @Test(arguments: [0, 1, 125, 126, 127, 1000, 65535, 65536, 70000])
    func `a message that is there is read where it lies`(count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
        for role in [WebSocketRole.server, .client] {
            let parser = WebSocketParser(role: role, maximumMessageBytes: 1 << 20)
            var bytes = Self.frame(0x82, payload, masked: role == .server ? 0x1234_5678 : nil) + [0x82]
            bytes.withUnsafeMutableBytes { memory in
                var input = UnsafeRawBufferPointer(memory)
                #expect(parser.nextWhole(&input).map { Array($0) } == payload)
                #expect(Array(input) == [0x82])
                // Without its last byte it is nobody's yet.
                var cut = UnsafeRawBufferPointer(rebasing: memory.dropLast(2))
                #expect(parser.nextWhole(&cut) == nil)
                #expect(cut.count == memory.count - 2)
            }
        }
    }

    @Test func `whatever is not a whole plain binary message is left alone`() {
        let parser = WebSocketParser(role: .server, maximumMessageBytes: 100)
        let frames = [
            Self.frame(0x82, [1], masked: nil), Self.frame(0x81, [65], masked: 7), Self.frame(0x02, [1], masked: 7),
            Self.frame(0xC2, [1], masked: 7), Self.frame(0x80, [1], masked: 7), Self.frame(0x89, [], masked: 7),
            Self.frame(0x82, [UInt8](repeating: 1, count: 101), masked: 7), [0x82], [],
            // Lengths that are longer than they need to be.
            [0x82, 0xFE, 0, 1, 0, 0, 0, 0, 9], [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9],
        ]
        for frame in frames {
            var bytes = frame
            bytes.withUnsafeMutableBytes { memory in
                var input = UnsafeRawBufferPointer(memory)
                #expect(parser.nextWhole(&input) == nil)
                #expect(Array(input) == frame)
            }
        }
    }

    @Test func `both ways of reading agree, however the bytes are split`() throws {
        let randomness = SeededRandomness(seed: 5)
        for _ in 0..<200 {
            var sent: [[UInt8]] = []
            var wire: [UInt8] = []
            for _ in 0..<20 {
                let payload = randomness.bytes(Int(randomness.next() % 300))
                let mask = UInt32(truncatingIfNeeded: randomness.next())
                sent.append(payload)
                if randomness.next() % 4 == 0, payload.count > 1 {
                    wire += Self.frame(0x02, Array(payload.prefix(1)), masked: mask)
                    wire += Self.frame(0x89, [1, 2], masked: mask)
                    wire += Self.frame(0x80, Array(payload.dropFirst()), masked: mask)
                } else {
                    wire += Self.frame(0x82, payload, masked: mask)
                }
            }
            var parser = WebSocketParser(role: .server, maximumMessageBytes: 1 << 20)
            var got: [[UInt8]] = []
            var rest = wire[...]
            while !rest.isEmpty {
                var piece = Array(rest.prefix(Int(randomness.next() % 700) + 1))
                rest = rest.dropFirst(piece.count)
                try piece.withUnsafeMutableBytes { memory in
                    var input = UnsafeRawBufferPointer(memory)
                    while true {
                        while let whole = parser.nextWhole(&input) { got.append(Array(whole)) }
                        guard let event = try parser.next(&input) else { break }
                        if case .binary(let bytes) = event { got.append(bytes) }
                    }
                }
            }
            #expect(got == sent)
        }
    }
}
