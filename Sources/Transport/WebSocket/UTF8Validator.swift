/// Tells as early as possible that bytes which come in pieces are not UTF-8 (RFC 3629).
struct UTF8Validator {
    /// Continuation bytes that the character under way still needs, and the range of the next one: it is narrower
    /// than 80...BF where that excludes overlong forms, surrogates and what lies beyond U+10FFFF.
    private var missing = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    /// Whether the bytes so far end with a whole character.
    var isComplete: Bool { missing == 0 }

    /// False at the first byte that nothing behind it can make right.
    mutating func accepts(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        while position < bytes.count {
            if missing == 0 {
                while bytes.count - position >= 8,
                    bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    position += 8
                }
                guard position < bytes.count else { return true }
                guard begins(bytes[position]) else { return false }
            } else {
                guard bytes[position] >= lower, bytes[position] <= upper else { return false }
                missing -= 1
                lower = 0x80
                upper = 0xBF
            }
            position += 1
        }
        return true
    }

    private mutating func begins(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: missing = 1
        case 0xE0...0xEF: missing = 2
        case 0xF0...0xF4: missing = 3
        default: return false
        }
        switch byte {
        case 0xE0: lower = 0xA0
        case 0xED: upper = 0x9F
        case 0xF0: lower = 0x90
        case 0xF4: upper = 0x8F
        default: break
        }
        return true
    }
}
