/// Writes an object member by member, in the order of the calls, for answers that are given so often that an encoder's
/// containers would be most of their cost. Whoever uses it keeps to what ``JSONText/encode(_:)`` would make: members
/// sorted by name, none for nil.
public struct JSONWriter: ~Copyable {
    private var text = JSONTextBuffer()
    private var isFirst = true

    private init() {}

    deinit { text.deallocate() }

    /// The text of the object whose members `write` writes.
    public static func object(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.braced(write)
        return writer.text.array
    }

    private mutating func braced(_ write: (inout JSONWriter) -> Void) {
        text.append(UInt8(ascii: "{"))
        isFirst = true
        write(&self)
        isFirst = false
        text.append(UInt8(ascii: "}"))
    }

    /// - Parameter name: needs no escape.
    private mutating func begin(_ name: StaticString) {
        name.withUTF8Buffer { text.append(name: $0, isFirst: isFirst) }
        isFirst = false
    }

    public mutating func member(_ name: StaticString, _ value: String?) {
        guard var value else { return }
        begin(name)
        value.withUTF8 { _ = text.appendQuoted($0) }
    }

    public mutating func member(_ name: StaticString, _ value: Int64?) {
        guard let value else { return }
        begin(name)
        text.append(value)
    }

    /// - Parameter value: finite, because JSON has no other numbers.
    public mutating func member(_ name: StaticString, _ value: Double?) {
        guard let value else { return }
        begin(name)
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53, value != 0 {
            text.append(whole)
        } else {
            let digits = value.description
            text.append(digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits)
        }
    }

    public mutating func member(_ name: StaticString, _ value: Timestamp?) {
        guard let value else { return }
        begin(name)
        text.append(UInt8(ascii: "\""))
        value.withText { text.append($0) }
        text.append(UInt8(ascii: "\""))
    }

    public mutating func member(_ name: StaticString, _ values: [String]) {
        begin(name)
        elements(values) { text, value in
            var value = value
            value.withUTF8 { _ = text.appendQuoted($0) }
        }
    }

    public mutating func member(_ name: StaticString, _ values: [Int]) {
        begin(name)
        elements(values) { $0.append(Int64($1)) }
    }

    public mutating func object(_ name: StaticString, _ write: (inout JSONWriter) -> Void) {
        begin(name)
        braced(write)
    }

    private mutating func elements<Value>(_ values: [Value], _ write: (inout JSONTextBuffer, Value) -> Void) {
        text.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            write(&text, value)
        }
        text.append(UInt8(ascii: "]"))
    }
}
