import Base
import Testing

@testable import Transport

/// The cases of a conformance suite: what a server makes of frames, whole and byte by byte.
@Suite struct WebSocketFrameTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let events: [WebSocketParser.Event]
        /// How it ends, if the frames break the rules.
        let violation: UInt16?

        init(
            _ name: String,
            _ frames: [[UInt8]],
            _ events: [WebSocketParser.Event],
            violation: UInt16? = nil
        ) {
            self.name = name
            bytes = frames.flatMap { $0 }
            self.events = events
            self.violation = violation
        }

        var testDescription: String { name }
    }

    static let limit = 200_000

    private func check(_ test: Case) {
        for size in [test.bytes.count, 1, 7].filter({ $0 > 0 }) {
            if size == 1, test.bytes.count > 70_000 { continue }
            let (events, violation) = read(test.bytes, inPiecesOf: size)
            #expect(events == test.events, "in pieces of \(size)")
            #expect(violation == test.violation, "in pieces of \(size)")
        }
    }

    private func read(_ bytes: [UInt8], inPiecesOf size: Int) -> ([WebSocketParser.Event], UInt16?) {
        let pool = CompressionPool()
        let inflater = MessageInflater(.init(windowBits: 15, keepsContext: false), pool: pool)
        let limits = WebSocketParser.Limits(messageBytes: Self.limit, frameBytes: 150_000, fragments: 64)
        var parser = WebSocketParser(role: .server, limits: limits, inflater: inflater)
        var events: [WebSocketParser.Event] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let end = bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { piece -> UInt16? in
                var piece = piece
                do throws(WebSocketViolation) {
                    while let event = try parser.next(&piece) { events.append(event) }
                    return nil
                } catch {
                    return error.code.rawValue
                }
            }
            if let end { return (events, end) }
        }
        return (events, nil)
    }

    private static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) } }

    // MARK: 1 Framing

    static let framing: [Case] = [0, 1, 125, 126, 127, 128, 65535, 65536, 140_000].flatMap { length in
        let letters = [UInt8](repeating: 0x2A, count: length)
        return [
            Case(
                "text of \(length)",
                [RawFrame.make(0x81, letters)],
                [.text(String(decoding: letters, as: UTF8.self))]
            ),
            Case("binary of \(length)", [RawFrame.make(0x82, bytes(length))], [.binary(bytes(length))]),
        ]
    }

    @Test(arguments: framing) func `a message of any length arrives`(test: Case) { check(test) }

    // MARK: 2 Pings and pongs

    static let controls: [Case] = [
        Case("an empty ping", [RawFrame.make(0x89)], [.ping([])]),
        Case("a ping of 125", [RawFrame.make(0x89, bytes(125))], [.ping(bytes(125))]),
        Case("a ping of bytes that are no text", [RawFrame.make(0x89, [0, 0xFF, 0xFE])], [.ping([0, 0xFF, 0xFE])]),
        Case("a pong that nobody asked for", [RawFrame.make(0x8A, [1])], [.pong([1])]),
        Case(
            "ten pings",
            (0..<10).map { RawFrame.make(0x89, [UInt8($0)]) },
            (0..<10).map { .ping([UInt8($0)]) }
        ),
        Case("a ping of 126", [RawFrame.make(0x89, bytes(126))], [], violation: 1002),
        Case("a pong of 65536", [RawFrame.make(0x8A, bytes(65536))], [], violation: 1002),
        Case("a ping in fragments", [RawFrame.make(0x09, [1]), RawFrame.make(0x80, [2])], [], violation: 1002),
        Case("a close in fragments", [RawFrame.make(0x08, [3, 0xE8])], [], violation: 1002),
    ]

    @Test(arguments: controls) func `a control frame is short and whole`(test: Case) { check(test) }

    // MARK: 3, 4 Reserved bits and opcodes, masks, lengths

    static let reserved: [Case] =
        [0x90, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0].map { (bits: UInt8) in
            Case(
                "reserved bits \(bits)",
                [RawFrame.text("a"), RawFrame.make(bits | 1, [0x61])],
                [.text("a")],
                violation: 1002
            )
        }
        + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { (opcode: UInt8) in
            Case("opcode \(opcode)", [RawFrame.make(0x80 | opcode)], [], violation: 1002)
        } + [
            Case("RSV1 on a ping", [RawFrame.make(0xC9)], [], violation: 1002),
            Case("RSV1 on a close", [RawFrame.make(0xC8)], [], violation: 1002),
            Case("RSV1 on a continuation", [RawFrame.make(0x01), RawFrame.make(0xC0)], [], violation: 1002),
            Case("no mask", [RawFrame.make(0x81, [0x61], mask: nil)], [], violation: 1002),
            Case("a mask of zeros", [RawFrame.make(0x81, [0x61], mask: 0)], [.text("a")]),
            Case("125 in two bytes of length", [[0x82, 0xFE, 0, 125, 0, 0, 0, 0]], [], violation: 1002),
            Case(
                "65535 in eight bytes of length",
                [[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]],
                [],
                violation: 1002
            ),
            Case(
                "the highest bit of a length",
                [[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
                [],
                violation: 1002
            ),
        ]

    @Test(arguments: reserved) func `what the protocol keeps for later is refused`(test: Case) { check(test) }

    // MARK: 5 Fragments

    static let fragments: [Case] = [
        Case("two", [RawFrame.make(0x01, [0x61]), RawFrame.make(0x80, [0x62])], [.text("ab")]),
        Case("empty ones", [RawFrame.make(0x01), RawFrame.make(0x00), RawFrame.make(0x80)], [.text("")]),
        Case(
            "control frames between",
            [
                RawFrame.make(0x02, [1]), RawFrame.make(0x89, [9]), RawFrame.make(0x00, [2]),
                RawFrame.make(0x8A, [8]), RawFrame.make(0x80, [3]),
            ],
            [.ping([9]), .pong([8]), .binary([1, 2, 3])]
        ),
        Case(
            "a close between",
            [RawFrame.make(0x01, [0x61]), RawFrame.close(1000), RawFrame.make(0x80, [0x62])],
            [.close(.normal, reason: "")]
        ),
        Case("a continuation of nothing", [RawFrame.make(0x80, [1])], [], violation: 1002),
        Case(
            "a last continuation of nothing",
            [RawFrame.text("a"), RawFrame.make(0x80, [1])],
            [.text("a")],
            violation: 1002
        ),
        Case("a text within a text", [RawFrame.make(0x01, [0x61]), RawFrame.text("b")], [], violation: 1002),
        Case("a binary within a text", [RawFrame.make(0x01, [0x61]), RawFrame.make(0x82)], [], violation: 1002),
        Case(
            "as many as are allowed",
            (0..<64).map { RawFrame.make($0 == 0 ? 0x02 : $0 == 63 ? 0x80 : 0x00, [7]) },
            [.binary([UInt8](repeating: 7, count: 64))]
        ),
        Case("one too many", [RawFrame.make(0x02)] + (0..<64).map { _ in RawFrame.make(0x00) }, [], violation: 1008),
    ]

    @Test(arguments: fragments) func `a message may come in fragments`(test: Case) { check(test) }

    // MARK: 6 UTF-8

    /// Right as a text; each is also cut in two at every place.
    static let rightTexts: [[UInt8]] = [
        [], Array("κόσμε".utf8), [0], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xED, 0x9F, 0xBF],
        [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF], [0xEF, 0xBF, 0xBE], [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
        Array("abcdefgh grüß dich abcdefgh 世界 😀 abcdefghijklmnop".utf8),
    ]

    @Test(arguments: rightTexts) func `a text may be cut anywhere`(text: [UInt8]) {
        let event = WebSocketParser.Event.text(String(decoding: text, as: UTF8.self))
        check(Case("whole", [RawFrame.make(0x81, text)], [event]))
        for cut in 0...text.count {
            let frames = [RawFrame.make(0x01, Array(text[..<cut])), RawFrame.make(0x80, Array(text[cut...]))]
            check(Case("cut at \(cut)", frames, [event]))
        }
    }

    static let wrongTexts: [[UInt8]] = [
        [0x80], [0xBF], [0x61, 0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
        [0xED, 0xBF, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
        [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xC3, 0x28], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
        [0xF0, 0x28, 0x8C, 0xBC], Array("κόσμε".utf8) + [0xED, 0xA0, 0x80] + Array("edited".utf8),
    ]

    @Test(arguments: wrongTexts) func `what is not UTF-8 is refused as soon as it shows`(text: [UInt8]) {
        check(Case("whole", [RawFrame.make(0x81, text)], [], violation: 1007))
        // The end of the message never comes.
        check(Case("first fragment", [RawFrame.make(0x01, text)], [], violation: 1007))
        let second = [RawFrame.make(0x01, Array("a".utf8)), RawFrame.make(0x00, text)]
        check(Case("second fragment", second, [], violation: 1007))
        check(Case("binary", [RawFrame.make(0x82, text)], [.binary(text)]))
        // A frame that announces more than has come.
        var frame = RawFrame.make(0x81, text + [UInt8](repeating: 0x61, count: 40))
        frame.removeLast(40)
        check(Case("in the middle of a frame", [frame], [], violation: 1007))
    }

    @Test(arguments: [[0xC2], [0xE2, 0x82], [0xF0, 0x9F, 0x98], Array("ab".utf8) + [0xCE]] as [[UInt8]])
    func `a text may not end within a character`(text: [UInt8]) {
        check(Case("whole", [RawFrame.make(0x81, text)], [], violation: 1007))
        check(Case("in fragments", [RawFrame.make(0x01, text), RawFrame.make(0x80)], [], violation: 1007))
        check(Case("deflated", [RawFrame.make(0xC1, try! RawFrame.deflated(text))], [], violation: 1007))
    }

    // MARK: 7 Closing

    static let closes: [Case] =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map {
            (code: UInt16) in
            Case("\(code)", [RawFrame.close(code, Array("why".utf8))], [.close(.init(rawValue: code), reason: "why")])
        }
        + [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map { (code: UInt16) in
            Case("\(code)", [RawFrame.close(code)], [], violation: 1002)
        } + [
            Case("without a code", [RawFrame.make(0x88)], [.close(nil, reason: "")]),
            Case("half a code", [RawFrame.make(0x88, [3])], [], violation: 1002),
            Case(
                "the longest reason",
                [RawFrame.close(1000, [UInt8](repeating: 0x2A, count: 123))],
                [.close(.normal, reason: String(repeating: "*", count: 123))]
            ),
            Case("a reason too long", [RawFrame.close(1000, bytes(124))], [], violation: 1002),
            Case("a reason that is not UTF-8", [RawFrame.close(1000, [0xCE, 0xBA, 0xFF])], [], violation: 1007),
            Case(
                "data, pings and nonsense after it",
                [RawFrame.close(1000), RawFrame.text("late"), RawFrame.make(0x89), [0xFF, 0xFF]],
                [.close(.normal, reason: "")]
            ),
            Case(
                "a message before it",
                [RawFrame.text("a"), RawFrame.close(1001)],
                [.text("a"), .close(.goingAway, reason: "")]
            ),
        ]

    @Test(arguments: closes) func `a close carries a code that may be sent`(test: Case) { check(test) }

    // MARK: 9, 10 Limits

    static let limits: [Case] = [
        Case(
            "a frame announced above the limit of frames",
            [Array(RawFrame.make(0x82, bytes(150_001)).prefix(14))],
            [],
            violation: 1009
        ),
        Case("2^62 announced", [[0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]], [], violation: 1009),
        Case(
            "fragments up to the limit",
            [RawFrame.make(0x02, bytes(100_000)), RawFrame.make(0x80, bytes(100_000))],
            [.binary(bytes(100_000) + bytes(100_000))]
        ),
        Case(
            "fragments above the limit",
            [RawFrame.make(0x02, bytes(100_000)), Array(RawFrame.make(0x80, bytes(100_001)).prefix(14))],
            [],
            violation: 1009
        ),
    ]

    @Test(arguments: limits) func `what is too long is refused when it is announced`(test: Case) { check(test) }

    // MARK: 12, 13 Compression

    static func compressed() throws -> [Case] {
        let hello = Array("Hello".utf8)
        let text = Array(String(repeating: "grüß dich, 世界; ", count: 3000).utf8)
        let packed = try RawFrame.deflated(text)
        let bomb = try RawFrame.deflated([UInt8](repeating: 0x61, count: 5_000_000))
        let noise = CompressionTests.noise(140_000)
        let wrong = try RawFrame.deflated(Array("ab".utf8) + [0xFF] + text)
        return [
            // The examples of RFC 7692, section 7.2.3.
            Case("one block", [RawFrame.make(0xC1, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])], [.text("Hello")]),
            Case(
                "in fragments",
                [RawFrame.make(0x41, [0xF2, 0x48, 0xCD]), RawFrame.make(0x80, [0xC9, 0xC9, 0x07, 0x00])],
                [.text("Hello")]
            ),
            Case(
                "not compressed",
                [RawFrame.make(0xC1, [0x00, 0x05, 0x00, 0xFA, 0xFF] + hello + [0x00])],
                [.text("Hello")]
            ),
            Case(
                "a block marked as the last",
                [RawFrame.make(0xC1, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])],
                [.text("Hello")]
            ),
            Case(
                "a block marked as the last and nothing behind",
                [RawFrame.make(0xC1, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]), RawFrame.text("on")],
                [.text("Hello"), .text("on")]
            ),
            Case(
                "two blocks",
                [RawFrame.make(0xC1, [0xF2, 0x48, 0x05, 0, 0, 0, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00])],
                [.text("Hello")]
            ),
            Case("an empty one", [RawFrame.make(0xC1, [0x00])], [.text("")]),
            Case("an empty one of no byte", [RawFrame.make(0xC2)], [.binary([])]),
            Case("a long text", [RawFrame.make(0xC1, packed)], [.text(String(decoding: text, as: UTF8.self))]),
            Case("bytes that do not compress", [RawFrame.make(0xC2, try RawFrame.deflated(noise))], [.binary(noise)]),
            Case(
                "a ping between, then one as it is",
                [
                    RawFrame.make(0x41, Array(packed.prefix(100))), RawFrame.make(0x89, [1]),
                    RawFrame.make(0x80, Array(packed.dropFirst(100))), RawFrame.text("plain"),
                ],
                [.ping([1]), .text(String(decoding: text, as: UTF8.self)), .text("plain")]
            ),
            Case("a bomb", [RawFrame.make(0xC1, bomb)], [], violation: 1009),
            Case("a bomb in fragments", [RawFrame.make(0x42, bomb)], [], violation: 1009),
            Case("damaged", [RawFrame.make(0xC1, [0xFF, 0xFF, 0xFF])], [], violation: 1007),
            Case("cut off", [RawFrame.make(0xC1, Array(packed.dropLast(20)))], [], violation: 1007),
            Case("not UTF-8, before the message ends", [RawFrame.make(0x41, wrong)], [], violation: 1007),
            Case(
                "of an earlier message, which was forgotten",
                [RawFrame.make(0xC1, packed), RawFrame.make(0xC1, [0xF2, 0x00, 0x11, 0x00, 0x00])],
                [.text(String(decoding: text, as: UTF8.self))],
                violation: 1007
            ),
        ]
    }

    @Test(arguments: try compressed()) func `a message may be compressed`(test: Case) { check(test) }

    @Test func `with its context kept a message may refer to an earlier one`() throws {
        // RFC 7692, section 7.2.3.2: the second "Hello" is a reference to the first.
        let frames =
            RawFrame.make(0xC1, [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00])
            + RawFrame.make(0xC1, [0xF2, 0x00, 0x11, 0x00, 0x00])
        let inflater = MessageInflater(.init(windowBits: 8, keepsContext: true), pool: CompressionPool())
        var parser = WebSocketParser(role: .server, maximumMessageBytes: 100, inflater: inflater)
        var events: [WebSocketParser.Event] = []
        try frames.withUnsafeBytes { input in
            var input = input
            while let event = try parser.next(&input) { events.append(event) }
        }
        #expect(events == [.text("Hello"), .text("Hello")])
    }
}
