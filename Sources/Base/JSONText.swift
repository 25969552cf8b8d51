/// JSON string literals (RFC 8259, section 7) without a coder, for hot paths and log lines.
public enum JSONText {
    public static func quoted(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 2)
        appendQuoted(text.utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends `text` (valid UTF-8) as a quoted literal.
    public static func appendQuoted(_ text: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        if text.withContiguousStorageIfAvailable({ append($0, to: &bytes) }) == nil {
            Array(text).withUnsafeBufferPointer { append($0, to: &bytes) }
        }
    }

    private static func append(_ text: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        guard needsEscape(text) else {
            bytes.append(contentsOf: text)
            bytes.append(UInt8(ascii: "\""))
            return
        }
        // What needs no escape is copied in one piece.
        var copied = 0
        for index in text.indices where isEscaped(text[index]) {
            bytes.append(contentsOf: text[copied..<index])
            bytes.append(contentsOf: escape(of: text[index]))
            copied = index + 1
        }
        bytes.append(contentsOf: text[copied...])
        bytes.append(UInt8(ascii: "\""))
    }

    /// Looked at in one go, without a branch for each byte: almost no text has any.
    @inline(__always)
    static func needsEscape(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var found: UInt8 = 0
        for byte in text { found |= isEscaped(byte) ? 1 : 0 }
        return found != 0
    }

    @inline(__always)
    static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Only for bytes that ``isEscaped(_:)``.
    static func escape(of byte: UInt8) -> [UInt8] {
        let backslash = UInt8(ascii: "\\")
        return switch byte {
        case 0x08: [backslash, UInt8(ascii: "b")]
        case 0x09: [backslash, UInt8(ascii: "t")]
        case 0x0A: [backslash, UInt8(ascii: "n")]
        case 0x0C: [backslash, UInt8(ascii: "f")]
        case 0x0D: [backslash, UInt8(ascii: "r")]
        case ..<0x20: Array(#"\u00"#.utf8) + [Hex.digits[Int(byte >> 4)], Hex.digits[Int(byte & 15)]]
        default: [backslash, byte]
        }
    }

    /// Appends `number` in decimal digits.
    public static func append(_ number: Int64, to bytes: inout [UInt8]) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let (digits, first) = decimal(number.magnitude)
        for index in first..<20 { bytes.append(digits[index]) }
    }

    /// The decimal digits of `number`, from place `first` on.
    @inline(__always)
    static func decimal(_ number: UInt64) -> (digits: InlineArray<20, UInt8>, first: Int) {
        var rest = number
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var first = 20
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        return (digits, first)
    }
}
