/// A `Range` field of one part (RFC 9110, section 14.1.2).
enum ByteRange: Equatable {
    case from(Int64)
    /// Both ends included.
    case between(Int64, Int64)
    case last(Int64)

    /// nil for another unit, for several parts and for what is malformed: then the whole is sent, as the field allows.
    init?(_ value: String) {
        guard let equals = value.firstIndex(of: "="),
            FieldList.trimmed(value[..<equals]).lowercased() == "bytes"
        else { return nil }
        let set = FieldList.trimmed(value[value.index(after: equals)...])
        guard let dash = set.firstIndex(of: "-") else { return nil }
        let first = set[..<dash]
        let last = set[set.index(after: dash)...]
        switch (Self.number(first), Self.number(last)) {
        case (let first?, let last?) where first <= last: self = .between(first, last)
        case (let first?, nil) where last.isEmpty: self = .from(first)
        case (nil, let count?) where first.isEmpty: self = .last(count)
        default: return nil
        }
    }

    /// What it selects of `length` bytes; nil when that is nothing. Not for an empty representation.
    func resolved(length: Int64) -> Range<Int64>? {
        switch self {
        case .from(let first): first < length ? first..<length : nil
        case .between(let first, let last): first < length ? first..<(min(last, length - 1) + 1) : nil
        case .last(let count): count > 0 ? max(0, length - count)..<length : nil
        }
    }

    /// Digits only; one too large for 64 bits stands for the largest.
    private static func number(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text) ?? .max
    }
}
