import Base

/// Makes values of any decodable type: lengths, presence and leaves are random. A leaf that refuses what it is given
/// (an id, a time, a name of an enumeration) is offered something else until it takes it.
struct RandomDecoder: Decoder {
    let randomness: SeededRandomness
    var depth = 0

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// Among them every word that an enumeration of the API may ask for.
    private static let words: [String] = {
        let ids = ["org", "user", "key", "env", "wrk", "repo", "ws", "exec", "evt", "req", "up"]
            .map { "\($0)_01jd0000000000000000000000" }
        return ids + [
            "2026-11-20T03:14:39.123Z", "", "line\nbreak", "\"quoted\"", "/slash\\", "é😀\u{1}", "local", "host",
            "open", "none", "bestEffort", "required", "personal", "organization", "running", "completed", "failed",
            "cancelled", "timedOut", "DESKTOP", "CLOUD", "NEW", "READY", "rlimit", "stdout", "stderr", "never",
            "started", "text", "toolCall", "toolResult", "usage", "result", "other", "start",
        ]
    }()

    func integer<Value: FixedWidthInteger>() -> Value {
        Value(truncatingIfNeeded: randomness.next() >> (randomness.next() % 64))
    }
    func real() -> Double { Double(Int64(bitPattern: randomness.next()) >> 20) / 1024 }
    func text() -> String { Self.words[Int(randomness.next() % UInt64(Self.words.count))] }
    func chance(_ one: UInt64) -> Bool { randomness.next() % one == 0 }

    func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
        var inner = self
        inner.depth += 1
        for _ in 0..<600 {
            if let value = try? Value(from: inner) { return value }
        }
        throw BerthError(.internal, "no \(Value.self) came about: add a word that it takes")
    }

    func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RandomMembers<Key>(decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        RandomElements(decoder: self, length: depth > 6 ? 0 : Int(randomness.next() % 4))
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { RandomValue(decoder: self) }
}

private struct RandomValue: SingleValueDecodingContainer {
    let decoder: RandomDecoder
    var codingPath: [any CodingKey] { [] }

    /// So that what tries several types in turn takes each of them now and then.
    private func refused() throws {
        if decoder.chance(3) { throw BerthError(.invalidValue, "not this time") }
    }

    func decodeNil() -> Bool { decoder.chance(4) }
    func decode(_: Bool.Type) throws -> Bool {
        try refused()
        return decoder.chance(2)
    }
    func decode(_: String.Type) throws -> String { decoder.text() }
    func decode(_: Double.Type) throws -> Double {
        try refused()
        return decoder.real()
    }
    func decode(_: Float.Type) throws -> Float { Float(decoder.real()) }
    func decode(_: Int.Type) throws -> Int { decoder.integer() }
    func decode(_: Int8.Type) throws -> Int8 { decoder.integer() }
    func decode(_: Int16.Type) throws -> Int16 { decoder.integer() }
    func decode(_: Int32.Type) throws -> Int32 { decoder.integer() }
    func decode(_: Int64.Type) throws -> Int64 {
        try refused()
        return decoder.integer()
    }
    func decode(_: UInt.Type) throws -> UInt { decoder.integer() }
    func decode(_: UInt8.Type) throws -> UInt8 { decoder.integer() }
    func decode(_: UInt16.Type) throws -> UInt16 { decoder.integer() }
    func decode(_: UInt32.Type) throws -> UInt32 { decoder.integer() }
    func decode(_: UInt64.Type) throws -> UInt64 { decoder.integer() }
    func decode<Value: Decodable>(_: Value.Type) throws -> Value { try decoder.value(Value.self) }
}

private struct RandomMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: RandomDecoder
    var codingPath: [any CodingKey] { [] }

    /// A dictionary's.
    var allKeys: [Key] {
        decoder.depth > 6
            ? [] : (0..<decoder.randomness.next() % 4).compactMap { _ in Key(stringValue: decoder.text()) }
    }

    func contains(_: Key) -> Bool { true }
    func decodeNil(forKey: Key) throws -> Bool { decoder.chance(4) }
    func decode(_: Bool.Type, forKey: Key) throws -> Bool { decoder.chance(2) }
    func decode(_: String.Type, forKey: Key) throws -> String { decoder.text() }
    func decode(_: Double.Type, forKey: Key) throws -> Double { decoder.real() }
    func decode(_: Float.Type, forKey: Key) throws -> Float { Float(decoder.real()) }
    func decode(_: Int.Type, forKey: Key) throws -> Int { decoder.integer() }
    func decode(_: Int8.Type, forKey: Key) throws -> Int8 { decoder.integer() }
    func decode(_: Int16.Type, forKey: Key) throws -> Int16 { decoder.integer() }
    func decode(_: Int32.Type, forKey: Key) throws -> Int32 { decoder.integer() }
    func decode(_: Int64.Type, forKey: Key) throws -> Int64 { decoder.integer() }
    func decode(_: UInt.Type, forKey: Key) throws -> UInt { decoder.integer() }
    func decode(_: UInt8.Type, forKey: Key) throws -> UInt8 { decoder.integer() }
    func decode(_: UInt16.Type, forKey: Key) throws -> UInt16 { decoder.integer() }
    func decode(_: UInt32.Type, forKey: Key) throws -> UInt32 { decoder.integer() }
    func decode(_: UInt64.Type, forKey: Key) throws -> UInt64 { decoder.integer() }
    func decode<Value: Decodable>(_: Value.Type, forKey: Key) throws -> Value { try decoder.value(Value.self) }

    func nestedContainer<Inner: CodingKey>(keyedBy: Inner.Type, forKey: Key) throws -> KeyedDecodingContainer<Inner> {
        try decoder.container(keyedBy: Inner.self)
    }
    func nestedUnkeyedContainer(forKey: Key) throws -> any UnkeyedDecodingContainer { try decoder.unkeyedContainer() }
    func superDecoder() throws -> any Decoder { decoder }
    func superDecoder(forKey: Key) throws -> any Decoder { decoder }
}

private struct RandomElements: UnkeyedDecodingContainer {
    let decoder: RandomDecoder
    let length: Int
    var currentIndex = 0

    var codingPath: [any CodingKey] { [] }
    var count: Int? { length }
    var isAtEnd: Bool { currentIndex >= length }

    private mutating func next() -> RandomDecoder {
        currentIndex += 1
        return decoder
    }

    mutating func decodeNil() throws -> Bool { false }
    mutating func decode(_: Bool.Type) throws -> Bool { next().chance(2) }
    mutating func decode(_: String.Type) throws -> String { next().text() }
    mutating func decode(_: Double.Type) throws -> Double { next().real() }
    mutating func decode(_: Float.Type) throws -> Float { Float(next().real()) }
    mutating func decode(_: Int.Type) throws -> Int { next().integer() }
    mutating func decode(_: Int8.Type) throws -> Int8 { next().integer() }
    mutating func decode(_: Int16.Type) throws -> Int16 { next().integer() }
    mutating func decode(_: Int32.Type) throws -> Int32 { next().integer() }
    mutating func decode(_: Int64.Type) throws -> Int64 { next().integer() }
    mutating func decode(_: UInt.Type) throws -> UInt { next().integer() }
    mutating func decode(_: UInt8.Type) throws -> UInt8 { next().integer() }
    mutating func decode(_: UInt16.Type) throws -> UInt16 { next().integer() }
    mutating func decode(_: UInt32.Type) throws -> UInt32 { next().integer() }
    mutating func decode(_: UInt64.Type) throws -> UInt64 { next().integer() }
    mutating func decode<Value: Decodable>(_: Value.Type) throws -> Value { try next().value(Value.self) }

    mutating func nestedContainer<Inner: CodingKey>(keyedBy: Inner.Type) throws -> KeyedDecodingContainer<Inner> {
        try next().container(keyedBy: Inner.self)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { next() }
}
