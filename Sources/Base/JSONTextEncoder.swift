extension JSONText {
    /// The JSON text of `value`: members sorted by name, slashes as they are. Throws `EncodingError` for a number that
    /// JSON cannot hold and for a value that encodes nothing.
    ///
    /// The same text as Foundation's encoder makes with `[.sortedKeys, .withoutEscapingSlashes]`, at a fraction of its
    /// cost: what is encoded goes straight into the text, without a tree between. Foundation's own types that its
    /// encoder treats apart (Data, URL, Decimal) are not used in what Berth encodes.
    public static func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        let encoder = JSONTextEncoder()
        try value.encode(to: encoder)
        return try encoder.finish(orThrowFor: value)
    }
}

/// Writes one value. Containers write at the end of the text, so each is used up before the one around it goes on; what
/// the protocol allows to be written in any order (nested containers and super encoders) gets an encoder of its own,
/// whose text is put in its place at the end.
final class JSONTextEncoder: Encoder {
    /// Behind a pointer, because a class's own fields are checked at every access: a third of the time that a row takes.
    private let state = UnsafeMutablePointer<JSONTextState>.allocate(capacity: 1)

    init() { state.initialize(to: JSONTextState()) }

    deinit {
        state.pointee.text.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        state.pointee.begin(.object, UInt8(ascii: "{"))
        return KeyedEncodingContainer(JSONMembers<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        state.pointee.begin(.array, UInt8(ascii: "["))
        return JSONElements(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { JSONSingleValue(encoder: self) }

    /// How many elements the array under way has.
    var elementCount: Int { state.pointee.frame.count }

    fileprivate func finish(orThrowFor value: some Encodable) throws -> [UInt8] {
        if case .none = state.pointee.frame.shape {
            throw EncodingError.invalidValue(
                value,
                .init(codingPath: [], debugDescription: "the value encodes nothing")
            )
        }
        close()
        return state.pointee.text.array
    }

    // MARK: Values

    func writeValue<Value: Encodable>(_ value: Value) throws {
        // What rows hold most goes without a frame.
        if Value.self == String.self, let text = value as? String { return writeText(text) }
        if Value.self == Timestamp.self, let time = value as? Timestamp { return writeText(time.description) }
        let outer = state.pointee.frame
        state.pointee.frame = JSONTextState.Frame(
            start: state.pointee.text.count,
            firstMember: state.pointee.members.count
        )
        try value.encode(to: self)
        close()
        state.pointee.frame = outer
    }

    func writeNull() { state.pointee.single("null") }
    func writeTruth(_ value: Bool) { state.pointee.single(value ? "true" : "false") }

    func writeText(_ value: String) {
        state.pointee.markSingle()
        var value = value
        value.withUTF8 { _ = state.pointee.text.appendQuoted($0) }
    }

    func writeInteger(_ value: some BinaryInteger) {
        state.pointee.markSingle()
        if let small = Int64(exactly: value) {
            state.pointee.text.append(small)
        } else {
            state.pointee.text.append(value.description)
        }
    }

    func writeNumber<Value: BinaryFloatingPoint & LosslessStringConvertible & Encodable>(_ value: Value) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(value, .init(codingPath: [], debugDescription: "JSON has no \(value)"))
        }
        state.pointee.markSingle()
        let digits = value.description
        state.pointee.text.append(digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits)
    }

    // MARK: Members and elements

    func beginMember(_ name: String) { state.pointee.beginMember(name) }
    func endMember() { state.pointee.endMember() }
    func beginElement() { state.pointee.beginElement() }

    /// An encoder whose text goes where the next byte would.
    func nest() -> JSONTextEncoder {
        let encoder = JSONTextEncoder()
        state.pointee.nested.append((state.pointee.text.count, encoder))
        return encoder
    }

    // MARK: The end of a value

    private func close() {
        if !state.pointee.nested.isEmpty { placeNested() }
        state.pointee.close()
    }

    private func placeNested() {
        while let (place, encoder) = state.pointee.nested.last, place >= state.pointee.frame.start {
            state.pointee.nested.removeLast()
            encoder.close()
            state.pointee.insert(encoder.state.pointee.text, at: place)
        }
    }
}
