internal import FoundationEssentials

extension JSONText {
    /// What Foundation's `JSONDecoder` makes of a text, in a quarter of its time. Its errors are Foundation's own: a text
    /// in which something is wrong is read once more by it.
    public static func decode<Value: Decodable>(_: Value.Type = Value.self, from bytes: [UInt8]) throws -> Value {
        if let tape = JSONTape(bytes), let value = try? Value(from: JSONTapeDecoder(tape: tape, place: 0)) {
            return value
        }
        return try JSONDecoder().decode(Value.self, from: Data(bytes))
    }

    public static func decode<Value: Decodable>(_: Value.Type = Value.self, from text: String) throws -> Value {
        try decode(Value.self, from: Array(text.utf8))
    }
}

/// Reads the value at `place`.
struct JSONTapeDecoder: Decoder {
    let tape: JSONTape
    let place: Int

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard tape.nodes[place].kind == .object else { throw JSONTapeFault() }
        return KeyedDecodingContainer(JSONTapeMembers<Key>(tape: tape, place: place))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard tape.nodes[place].kind == .array else { throw JSONTapeFault() }
        return JSONTapeElements(tape: tape, place: place)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }
}

extension JSONTapeDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { tape.nodes[place].kind == .null }

    func decode(_: Bool.Type) throws -> Bool {
        switch tape.nodes[place].kind {
        case .truth: true
        case .falsehood: false
        default: throw JSONTapeFault()
        }
    }

    func decode(_: String.Type) throws -> String { try found(tape.string(at: place)) }
    func decode(_: Double.Type) throws -> Double { try found(tape.real(at: place)) }
    func decode(_: Float.Type) throws -> Float { throw JSONTapeFault() }
    func decode(_: Int.Type) throws -> Int { try found(tape.integer(at: place)) }
    func decode(_: Int8.Type) throws -> Int8 { try found(tape.integer(at: place)) }
    func decode(_: Int16.Type) throws -> Int16 { try found(tape.integer(at: place)) }
    func decode(_: Int32.Type) throws -> Int32 { try found(tape.integer(at: place)) }
    func decode(_: Int64.Type) throws -> Int64 { try found(tape.integer(at: place)) }
    func decode(_: UInt.Type) throws -> UInt { try found(tape.integer(at: place)) }
    func decode(_: UInt8.Type) throws -> UInt8 { try found(tape.integer(at: place)) }
    func decode(_: UInt16.Type) throws -> UInt16 { try found(tape.integer(at: place)) }
    func decode(_: UInt32.Type) throws -> UInt32 { try found(tape.integer(at: place)) }
    func decode(_: UInt64.Type) throws -> UInt64 { try found(tape.integer(at: place)) }
    func decode<Value: Decodable>(_: Value.Type) throws -> Value { try value() }

    func value<Value: Decodable>() throws -> Value {
        if Value.self == String.self, let text = try decode(String.self) as? Value { return text }
        // Foundation reads these in ways of its own.
        guard Value.self != Date.self, Value.self != Data.self, Value.self != URL.self, Value.self != Decimal.self
        else { throw JSONTapeFault() }
        return try Value(from: self)
    }

    private func found<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw JSONTapeFault() }
        return value
    }
}

/// The members of an object.
private struct JSONTapeMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let tape: JSONTape
    let place: Int

    var codingPath: [any CodingKey] { [] }

    var allKeys: [Key] {
        var keys: [Key] = []
        var key = place + 1
        for _ in 0..<tape.nodes[place].count {
            if let name = tape.string(at: key), let known = Key(stringValue: name) { keys.append(known) }
            key = Int(tape.nodes[key + 1].next)
        }
        return keys
    }

    private func member(_ key: Key) throws -> JSONTapeDecoder {
        guard let place = try tape.member(key.stringValue, of: place) else { throw JSONTapeFault() }
        return JSONTapeDecoder(tape: tape, place: place)
    }

    /// nil for a member that is null or not there.
    private func optional(_ key: Key) throws -> JSONTapeDecoder? {
        guard let place = try tape.member(key.stringValue, of: place), tape.nodes[place].kind != .null else {
            return nil
        }
        return JSONTapeDecoder(tape: tape, place: place)
    }

    func contains(_ key: Key) -> Bool {
        // A name that comes twice shows when it is decoded.
        do { return try tape.member(key.stringValue, of: place) != nil } catch { return true }
    }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key).decodeNil() }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try member(key).decode(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try member(key).decode(type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try member(key).decode(type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try member(key).decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try member(key).decode(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try member(key).decode(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try member(key).decode(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try member(key).decode(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try member(key).decode(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try member(key).decode(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try member(key).decode(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try member(key).decode(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try member(key).decode(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try member(key).decode(type) }
    func decode<Value: Decodable>(_: Value.Type, forKey key: Key) throws -> Value { try member(key).value() }

    // The commonest of the optional ones: by themselves they would look for the name three times.
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(key)?.decode(type) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(key)?.decode(type) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(key)?.decode(type) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(key)?.decode(type) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(key)?.decode(type) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(key)?.decode(type) }
    func decodeIfPresent<Value: Decodable>(_: Value.Type, forKey key: Key) throws -> Value? {
        try optional(key)?.value()
    }

    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type, forKey key: Key) throws
        -> KeyedDecodingContainer<Inner>
    {
        try member(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try member(key).unkeyedContainer()
    }

    // Classes that inherit their coding are not used in what Berth decodes.
    func superDecoder() throws -> any Decoder { throw JSONTapeFault() }
    func superDecoder(forKey key: Key) throws -> any Decoder { try member(key) }
}

/// The elements of an array.
private struct JSONTapeElements: UnkeyedDecodingContainer {
    let tape: JSONTape
    let place: Int
    private var next: Int
    private(set) var currentIndex = 0

    init(tape: JSONTape, place: Int) {
        self.tape = tape
        self.place = place
        next = place + 1
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { Int(tape.nodes[place].count) }
    var isAtEnd: Bool { currentIndex == Int(tape.nodes[place].count) }

    /// The element under way; it is passed when `read` has taken it.
    private mutating func element<Value>(_ read: (JSONTapeDecoder) throws -> Value) throws -> Value {
        guard !isAtEnd else { throw JSONTapeFault() }
        let value = try read(JSONTapeDecoder(tape: tape, place: next))
        next = Int(tape.nodes[next].next)
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { throw JSONTapeFault() }
        guard tape.nodes[next].kind == .null else { return false }
        return try element { $0.decodeNil() }
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try element { try $0.decode(type) } }
    mutating func decode(_ type: String.Type) throws -> String { try element { try $0.decode(type) } }
    mutating func decode(_ type: Double.Type) throws -> Double { try element { try $0.decode(type) } }
    mutating func decode(_ type: Float.Type) throws -> Float { try element { try $0.decode(type) } }
    mutating func decode(_ type: Int.Type) throws -> Int { try element { try $0.decode(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try element { try $0.decode(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try element { try $0.decode(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try element { try $0.decode(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try element { try $0.decode(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try element { try $0.decode(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try element { try $0.decode(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try element { try $0.decode(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try element { try $0.decode(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try element { try $0.decode(type) } }
    mutating func decode<Value: Decodable>(_: Value.Type) throws -> Value { try element { try $0.value() } }

    mutating func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) throws -> KeyedDecodingContainer<Inner> {
        try element { try $0.container(keyedBy: type) }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try element { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try element { $0 } }
}
