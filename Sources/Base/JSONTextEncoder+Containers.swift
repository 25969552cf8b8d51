/// The members of an object.
struct JSONMembers<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: JSONTextEncoder

    var codingPath: [any CodingKey] { [] }

    private func member(_ key: Key, _ write: () throws -> Void) rethrows {
        encoder.beginMember(key.stringValue)
        try write()
        encoder.endMember()
    }

    func encodeNil(forKey key: Key) { member(key) { encoder.writeNull() } }
    func encode(_ value: Bool, forKey key: Key) { member(key) { encoder.writeTruth(value) } }
    func encode(_ value: String, forKey key: Key) { member(key) { encoder.writeText(value) } }
    func encode(_ value: Double, forKey key: Key) throws { try member(key) { try encoder.writeNumber(value) } }
    func encode(_ value: Float, forKey key: Key) throws { try member(key) { try encoder.writeNumber(value) } }
    func encode(_ value: Int, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: Int8, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: Int16, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: Int32, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: Int64, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: UInt, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: UInt8, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: UInt16, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: UInt32, forKey key: Key) { member(key) { encoder.writeInteger(value) } }
    func encode(_ value: UInt64, forKey key: Key) { member(key) { encoder.writeInteger(value) } }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try member(key) { try encoder.writeValue(value) }
    }

    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type, forKey key: Key) -> KeyedEncodingContainer<Inner> {
        nest(key.stringValue).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nest(key.stringValue).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { nest("super") }
    func superEncoder(forKey key: Key) -> any Encoder { nest(key.stringValue) }

    private func nest(_ name: String) -> JSONTextEncoder {
        encoder.beginMember(name)
        defer { encoder.endMember() }
        return encoder.nest()
    }
}

/// The elements of an array.
struct JSONElements: UnkeyedEncodingContainer {
    let encoder: JSONTextEncoder

    var codingPath: [any CodingKey] { [] }
    var count: Int { encoder.elementCount }

    private func element(_ write: () throws -> Void) rethrows {
        encoder.beginElement()
        try write()
    }

    func encodeNil() { element { encoder.writeNull() } }
    func encode(_ value: Bool) { element { encoder.writeTruth(value) } }
    func encode(_ value: String) { element { encoder.writeText(value) } }
    func encode(_ value: Double) throws { try element { try encoder.writeNumber(value) } }
    func encode(_ value: Float) throws { try element { try encoder.writeNumber(value) } }
    func encode(_ value: Int) { element { encoder.writeInteger(value) } }
    func encode(_ value: Int8) { element { encoder.writeInteger(value) } }
    func encode(_ value: Int16) { element { encoder.writeInteger(value) } }
    func encode(_ value: Int32) { element { encoder.writeInteger(value) } }
    func encode(_ value: Int64) { element { encoder.writeInteger(value) } }
    func encode(_ value: UInt) { element { encoder.writeInteger(value) } }
    func encode(_ value: UInt8) { element { encoder.writeInteger(value) } }
    func encode(_ value: UInt16) { element { encoder.writeInteger(value) } }
    func encode(_ value: UInt32) { element { encoder.writeInteger(value) } }
    func encode(_ value: UInt64) { element { encoder.writeInteger(value) } }
    func encode<Value: Encodable>(_ value: Value) throws { try element { try encoder.writeValue(value) } }

    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) -> KeyedEncodingContainer<Inner> {
        nest().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nest().unkeyedContainer() }
    func superEncoder() -> any Encoder { nest() }

    private func nest() -> JSONTextEncoder {
        encoder.beginElement()
        return encoder.nest()
    }
}

/// A value that is one string, number, truth value or null, or stands for another one.
struct JSONSingleValue: SingleValueEncodingContainer {
    let encoder: JSONTextEncoder

    var codingPath: [any CodingKey] { [] }

    func encodeNil() { encoder.writeNull() }
    func encode(_ value: Bool) { encoder.writeTruth(value) }
    func encode(_ value: String) { encoder.writeText(value) }
    func encode(_ value: Double) throws { try encoder.writeNumber(value) }
    func encode(_ value: Float) throws { try encoder.writeNumber(value) }
    func encode(_ value: Int) { encoder.writeInteger(value) }
    func encode(_ value: Int8) { encoder.writeInteger(value) }
    func encode(_ value: Int16) { encoder.writeInteger(value) }
    func encode(_ value: Int32) { encoder.writeInteger(value) }
    func encode(_ value: Int64) { encoder.writeInteger(value) }
    func encode(_ value: UInt) { encoder.writeInteger(value) }
    func encode(_ value: UInt8) { encoder.writeInteger(value) }
    func encode(_ value: UInt16) { encoder.writeInteger(value) }
    func encode(_ value: UInt32) { encoder.writeInteger(value) }
    func encode(_ value: UInt64) { encoder.writeInteger(value) }
    func encode<Value: Encodable>(_ value: Value) throws { try value.encode(to: encoder) }
}
