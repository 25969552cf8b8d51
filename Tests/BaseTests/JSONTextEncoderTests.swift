import Base
import FoundationEssentials
import Testing

@Suite struct JSONTextEncoderTests {
    /// What Foundation makes of the same value.
    private func reference(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    private func expectSame(_ value: some Encodable, _ location: SourceLocation = #_sourceLocation) throws {
        #expect(
            String(decoding: try JSONText.encode(value), as: UTF8.self) == (try reference(value)),
            sourceLocation: location
        )
    }

    @Test func `any tree of JSON is written as Foundation writes it`() throws {
        let randomness = SeededRandomness(seed: 7)
        for _ in 0..<3000 { try expectSame(RandomValue.make(randomness, depth: 0)) }
    }

    @Test func `strings with every byte below 128 and beyond are escaped as Foundation escapes them`() throws {
        for scalar in (0...0x2FF).compactMap(Unicode.Scalar.init) {
            try expectSame(["a\(scalar)b", String(scalar)])
            try expectSame(Dictionary(["x\(scalar)", "x", "x!", "x~"].map { ($0, 1) }) { first, _ in first })
        }
        try expectSame(["😀": "\u{2028}", "é": "e\u{301}", "z": "/"])
    }

    @Test func `numbers keep all their digits`() throws {
        try expectSame([Int64.min, -1, 0, 1, 9, 10, 99, 100, .max])
        try expectSame([UInt64.max, 0])
        try expectSame([Int8.min, Int8.max])
        try expectSame([
            0.1, -0.0, 1, 2.5, 1e16, 1e15, Double.leastNonzeroMagnitude, .greatestFiniteMagnitude, 123_456_789.125,
        ])
        try expectSame([Float(0.1), 3, 1e10])
        let randomness = SeededRandomness(seed: 11)
        for _ in 0..<2000 {
            let number = Double(bitPattern: randomness.next())
            if number.isFinite { try expectSame([number]) }
            try expectSame([Int64(bitPattern: randomness.next() >> (randomness.next() % 64))])
        }
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func `a number that JSON cannot hold is refused`(number: Double) {
        #expect(throws: EncodingError.self) { try JSONText.encode(["a": [number]]) }
    }

    @Test func `a value that encodes nothing is refused at the top and empty inside`() throws {
        #expect(throws: EncodingError.self) { try JSONText.encode(Mute()) }
        try expectSame(["a": Mute()])
        try expectSame([Mute(), Mute()])
    }

    @Test func `nested containers and super encoders end up in their places, in whatever order they are filled`() throws
    {
        try expectSame(Interleaved())
        try expectSame([Interleaved(), Interleaved()])
        try expectSame(["b": Interleaved(), "a": Interleaved()])
        try expectSame(Derived())
    }

    @Test func `optional, raw and single values stand alone`() throws {
        try expectSame(5)
        try expectSame("x")
        try expectSame(Bool?.none)
        try expectSame([Int?.some(1), nil])
        try expectSame(Timestamp(milliseconds: 1_795_144_479_123))
        try expectSame([1: "a", 2: "b"])
    }

    @Test func `a member that is written twice keeps its last value`() throws {
        try expectSame(Repeating())
    }
}

/// A tree of random shape with names and texts that need escapes now and then.
private indirect enum RandomValue: Encodable {
    case leaf(JSONValue)
    case object([(String, RandomValue)])
    case array([RandomValue])

    static func make(_ randomness: SeededRandomness, depth: Int) -> RandomValue {
        func text() -> String {
            let letters = ["a", "b", "Z", "0", "_", "\"", "\\", "/", "\n", "\u{1}", "é", "😀", "ab", " "]
            return (0..<randomness.next() % 5).map { _ in letters[Int(randomness.next() % UInt64(letters.count))] }
                .joined()
        }
        switch randomness.next() % (depth > 4 ? 5 : 8) {
        case 0: return .leaf(.null)
        case 1: return .leaf(.bool(randomness.next() % 2 == 0))
        case 2: return .leaf(.integer(Int64(bitPattern: randomness.next())))
        case 3: return .leaf(.number(randomness.fraction() * 1e6))
        case 4: return .leaf(.string(text()))
        case 5: return .array((0..<randomness.next() % 4).map { _ in make(randomness, depth: depth + 1) })
        default: return .object((0..<randomness.next() % 7).map { _ in (text(), make(randomness, depth: depth + 1)) })
        }
    }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .leaf(let value): try value.encode(to: encoder)
        case .array(let values):
            var container = encoder.unkeyedContainer()
            for value in values { try container.encode(value) }
        case .object(let members):
            var container = encoder.container(keyedBy: Name.self)
            for (name, value) in members { try container.encode(value, forKey: Name(stringValue: name)) }
        }
    }
}

private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

private struct Mute: Encodable {
    func encode(to encoder: any Encoder) {}
}

private struct Repeating: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        for (index, name) in ["b", "a", "b", "a"].enumerated() {
            try container.encode(index, forKey: Name(stringValue: name))
        }
    }
}

private struct Interleaved: Encodable {
    func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Name.self)
        var inner = outer.nestedContainer(keyedBy: Name.self, forKey: Name(stringValue: "m"))
        var list = outer.nestedUnkeyedContainer(forKey: Name(stringValue: "c"))
        try outer.encode("late", forKey: Name(stringValue: "z"))
        try inner.encode(1, forKey: Name(stringValue: "q"))
        try list.encode("x")
        try outer.encode(["k": 2], forKey: Name(stringValue: "a"))
        var deep = list.nestedContainer(keyedBy: Name.self)
        try list.encode(7)
        var deeper = list.nestedUnkeyedContainer()
        try deep.encode(true, forKey: Name(stringValue: "d"))
        try deeper.encode(1.5)
        try inner.encode([1, 2], forKey: Name(stringValue: "b"))
        var tail = outer.superEncoder(forKey: Name(stringValue: "t")).singleValueContainer()
        try tail.encode("end")
        try 9.encode(to: list.superEncoder())
        try list.encodeNil()
    }
}

private class Parent: Encodable {
    var base = 1
}

private final class Derived: Parent {
    enum Keys: String, CodingKey { case own, another }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode("x", forKey: .own)
        try super.encode(to: encoder)
        try container.encode("y", forKey: .another)
    }
}
