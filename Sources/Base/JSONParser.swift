extension JSONValue {
    /// Parses one JSON text (RFC 8259) from UTF-8 bytes, without a coder: for streams of lines.
    /// The last of several equal member names wins, unless names must be unique: what is checked here and decoded by a
    /// coder, which takes the first, must not say two things. Numbers outside Int64 become doubles.
    /// - Throws: `invalidJSON` with the byte position of the fault.
    public init(parsing bytes: some Collection<UInt8>, uniqueNames: Bool = false) throws(BerthError) {
        var parser = JSONParser(bytes: ContiguousArray(bytes), uniqueNames: uniqueNames)
        self = try parser.document()
    }
}

/// A recursive-descent parser over bytes; nesting is bounded so that a hostile line cannot exhaust the stack.
struct JSONParser {
    static let maximumDepth = 200

    let bytes: ContiguousArray<UInt8>
    var uniqueNames = false
    var position = 0

    mutating func document() throws(BerthError) -> JSONValue {
        let value = try self.value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw fault("something follows the value") }
        return value
    }

    private mutating func value(depth: Int) throws(BerthError) -> JSONValue {
        guard depth < Self.maximumDepth else { throw fault("nested deeper than \(Self.maximumDepth)") }
        skipSpace()
        guard position < bytes.count else { throw fault("the text ends too early") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(BerthError) -> JSONValue {
        position += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw fault("a member name is missing")
            }
            let name = try string()
            if uniqueNames, members[name] != nil { throw fault("the member '\(name.prefix(80))' comes twice") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw fault("':' is missing") }
            members[name] = try value(depth: depth + 1)
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw fault("',' or '}' is missing") }
            return .object(members)
        }
    }

    private mutating func array(depth: Int) throws(BerthError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw fault("',' or ']' is missing") }
            return .array(elements)
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(BerthError) -> JSONValue {
        let end = position + text.utf8CodeUnitCount
        let matches = text.withUTF8Buffer { end <= bytes.count && bytes[position..<end].elementsEqual($0) }
        guard matches else { throw fault("an unknown word") }
        position = end
        return value
    }

    private mutating func number() throws(BerthError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let whole = digits()
        guard whole > 0, whole == 1 || bytes[position - whole] != UInt8(ascii: "0") else {
            throw fault("a value is malformed")
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard digits() > 0 else { throw fault("a number is malformed") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard digits() > 0 else { throw fault("a number is malformed") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw fault("a number is out of range") }
        // As the coder has it: 2.0 and 1e3 are whole.
        return Int64(exactly: value).map { .integer($0) } ?? .number(value)
    }

    private mutating func digits() -> Int {
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
            position += 1
        }
        return position - start
    }

    private mutating func string() throws(BerthError) -> String {
        position += 1
        var start = position
        var text: [UInt8] = []
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                text.append(contentsOf: bytes[start..<position])
                position += 1
                guard let valid = String(validating: text, as: UTF8.self) else { throw fault("a string is not UTF-8") }
                return valid
            case UInt8(ascii: "\\"):
                text.append(contentsOf: bytes[start..<position])
                position += 1
                text.append(contentsOf: try escape())
                start = position
            case ..<0x20: throw fault("a control character stands in a string")
            default: position += 1
            }
        }
        throw fault("a string does not end")
    }

    private mutating func escape() throws(BerthError) -> [UInt8] {
        guard position < bytes.count else { throw fault("a string does not end") }
        let kind = bytes[position]
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [kind]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(try escapedScalar()).utf8)
        default: throw fault("an unknown escape")
        }
    }

    /// A lone surrogate becomes U+FFFD, as in other lenient readers: agents do emit them when they cut text.
    private mutating func escapedScalar() throws(BerthError) -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(UInt32(first)) { return scalar }
        let mark = position
        if UTF16.isLeadSurrogate(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
            let second = try codeUnit()
            if UTF16.isTrailSurrogate(second) {
                let value = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
                return Unicode.Scalar(value) ?? "\u{FFFD}"
            }
        }
        position = mark
        return "\u{FFFD}"
    }

    private mutating func codeUnit() throws(BerthError) -> UInt16 {
        guard position + 4 <= bytes.count else { throw fault("an escape is cut short") }
        var unit: UInt16 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Hex.value(byte) else { throw fault("an escape is not hexadecimal") }
            unit = unit << 4 | UInt16(digit)
        }
        position += 4
        return unit
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private func fault(_ what: String) -> BerthError {
        BerthError(.invalidJSON, "byte \(position) of the JSON: \(what)")
    }
}
