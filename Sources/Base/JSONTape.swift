/// A JSON text (RFC 8259) as a row of nodes in the order of the text; strings and numbers stay where they are. nil for a
/// text that is not JSON, or nested deeper than most: what is wrong with it, others say.
final class JSONTape {
    enum Kind: UInt8 { case null, truth, falsehood, number, string, escapedString, array, object }

    struct Node {
        var kind: Kind
        /// The bytes of a number, or of a string without its quotes.
        var start: UInt32
        var end: UInt32
        /// The place of the first node behind this one and what it holds.
        var next: UInt32
        /// Elements, or members: those are a string and a value each.
        var count: UInt32
    }

    private static let maximumDepth = 64

    let bytes: [UInt8]
    private(set) var nodes: ContiguousArray<Node> = []

    init?(_ bytes: [UInt8]) {
        guard bytes.count < Int(UInt32.max) else { return nil }
        self.bytes = bytes
        nodes.reserveCapacity(bytes.count / 12 + 4)
        let isWhole = bytes.withUnsafeBufferPointer { text in
            // A text with a byte beyond ASCII has to be right as a whole.
            guard text.allSatisfy({ $0 < 0x80 }) || String(validating: text, as: UTF8.self) != nil else { return false }
            var position = 0
            guard value(text, &position, depth: 0) else { return false }
            Self.skipSpace(text, &position)
            return position == text.count
        }
        guard isWhole else { return nil }
    }

    // MARK: Reading the text

    private typealias Text = UnsafeBufferPointer<UInt8>

    private func value(_ text: Text, _ position: inout Int, depth: Int) -> Bool {
        guard depth < Self.maximumDepth else { return false }
        Self.skipSpace(text, &position)
        guard position < text.count else { return false }
        switch text[position] {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return container(text, &position, depth: depth)
        case UInt8(ascii: "\""): return string(text, &position)
        case UInt8(ascii: "t"): return word("true", .truth, text, &position)
        case UInt8(ascii: "f"): return word("false", .falsehood, text, &position)
        case UInt8(ascii: "n"): return word("null", .null, text, &position)
        default: return number(text, &position)
        }
    }

    private func container(_ text: Text, _ position: inout Int, depth: Int) -> Bool {
        let isObject = text[position] == UInt8(ascii: "{")
        let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
        let place = nodes.count
        nodes.append(Node(kind: isObject ? .object : .array, start: 0, end: 0, next: 0, count: 0))
        position += 1
        var count: UInt32 = 0
        Self.skipSpace(text, &position)
        if !Self.take(end, text, &position) {
            while true {
                if isObject {
                    Self.skipSpace(text, &position)
                    guard position < text.count, text[position] == UInt8(ascii: "\""), string(text, &position) else {
                        return false
                    }
                    Self.skipSpace(text, &position)
                    guard Self.take(UInt8(ascii: ":"), text, &position) else { return false }
                }
                guard value(text, &position, depth: depth + 1) else { return false }
                count += 1
                Self.skipSpace(text, &position)
                if Self.take(UInt8(ascii: ","), text, &position) { continue }
                guard Self.take(end, text, &position) else { return false }
                break
            }
        }
        nodes[place].count = count
        nodes[place].next = UInt32(nodes.count)
        return true
    }

    private func string(_ text: Text, _ position: inout Int) -> Bool {
        let start = position + 1
        var index = start
        var kind = Kind.string
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "\"") {
                append(kind, start, index)
                position = index + 1
                return true
            }
            guard byte >= 0x20 else { return false }
            index += 1
            guard byte == UInt8(ascii: "\\") else { continue }
            kind = .escapedString
            guard let length = Self.escapeLength(text, index) else { return false }
            index += length
        }
        return false
    }

    /// Bytes of the escape behind the backslash; nil for none, and for a half of a surrogate pair, which is rare and may
    /// lack the other.
    private static func escapeLength(_ text: Text, _ start: Int) -> Int? {
        guard start < text.count else { return nil }
        switch text[start] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return 1
        case UInt8(ascii: "u"):
            guard start + 5 <= text.count else { return nil }
            let digits = text[(start + 1)..<(start + 5)]
            guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16),
                !(0xD800...0xDFFF).contains(unit)
            else { return nil }
            return 5
        default: return nil
        }
    }

    private func number(_ text: Text, _ position: inout Int) -> Bool {
        let start = position
        var index = start
        func digits() -> Bool {
            let first = index
            while index < text.count, (0x30...0x39).contains(text[index]) { index += 1 }
            return index > first
        }
        if text[index] == UInt8(ascii: "-") { index += 1 }
        let whole = index
        guard digits(), text[whole] != 0x30 || index == whole + 1 else { return false }
        if index < text.count, text[index] == UInt8(ascii: ".") {
            index += 1
            guard digits() else { return false }
        }
        if index < text.count, text[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < text.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(text[index]) { index += 1 }
            guard digits() else { return false }
        }
        append(.number, start, index)
        position = index
        return true
    }

    private func word(_ word: StaticString, _ kind: Kind, _ text: Text, _ position: inout Int) -> Bool {
        let end = position + word.utf8CodeUnitCount
        guard end <= text.count, word.withUTF8Buffer({ text[position..<end].elementsEqual($0) }) else { return false }
        append(kind, position, end)
        position = end
        return true
    }

    private func append(_ kind: Kind, _ start: Int, _ end: Int) {
        let next = UInt32(nodes.count + 1)
        nodes.append(Node(kind: kind, start: UInt32(start), end: UInt32(end), next: next, count: 0))
    }

    private static func skipSpace(_ text: Text, _ position: inout Int) {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private static func take(_ byte: UInt8, _ text: Text, _ position: inout Int) -> Bool {
        guard position < text.count, text[position] == byte else { return false }
        position += 1
        return true
    }

    // MARK: What the nodes say

    /// nil for no string, or one whose escapes are wrong.
    func string(at place: Int) -> String? {
        let node = nodes[place]
        let range = Int(node.start)..<Int(node.end)
        switch node.kind {
        case .string: return bytes.withUnsafeBufferPointer { String(decoding: $0[range], as: UTF8.self) }
        case .escapedString: return unescaped(range)
        default: return nil
        }
    }

    /// By the one reader of escapes that there is.
    private func unescaped(_ range: Range<Int>) -> String? {
        let quoted = bytes[(range.lowerBound - 1)...range.upperBound]
        guard case .string(let text)? = try? JSONValue(parsing: quoted) else { return nil }
        return text
    }

    /// The place of the value of the member `name` of the object at `place`; nil when there is none.
    /// Throws for a name that comes twice.
    func member(_ name: String, of place: Int) throws(JSONTapeFault) -> Int? {
        var name = name
        let found = name.withUTF8 { name -> Int? in
            var found: Int?
            var key = place + 1
            for _ in 0..<nodes[place].count {
                if isName(key, name) {
                    guard found == nil else { return -1 }
                    found = key + 1
                }
                key = Int(nodes[key + 1].next)
            }
            return found
        }
        guard found != -1 else { throw JSONTapeFault() }
        return found
    }

    private func isName(_ place: Int, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        let node = nodes[place]
        guard node.kind == .string else { return string(at: place).map { $0.utf8.elementsEqual(name) } ?? false }
        guard Int(node.end - node.start) == name.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            bytes[Int(node.start)..<Int(node.end)].elementsEqual(name)
        }
    }

    func integer<Value: FixedWidthInteger>(at place: Int) -> Value? {
        let node = nodes[place]
        guard node.kind == .number else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            let digits = bytes[Int(node.start)..<Int(node.end)]
            let isNegative = digits.first == UInt8(ascii: "-")
            var value: Value = 0
            for byte in digits.dropFirst(isNegative ? 1 : 0) {
                guard (0x30...0x39).contains(byte) else { return nil }
                let (ten, carried) = value.multipliedReportingOverflow(by: 10)
                let digit = Value(truncatingIfNeeded: byte - 0x30)
                let (sum, overflows) =
                    isNegative ? ten.subtractingReportingOverflow(digit) : ten.addingReportingOverflow(digit)
                guard !carried, !overflows else { return nil }
                value = sum
            }
            return value
        }
    }

    func real(at place: Int) -> Double? {
        let node = nodes[place]
        guard node.kind == .number else { return nil }
        let text = bytes.withUnsafeBufferPointer { bytes in
            String(decoding: bytes[Int(node.start)..<Int(node.end)], as: UTF8.self)
        }
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

/// What it was, Foundation's decoder finds out and says.
struct JSONTapeFault: Error {}
