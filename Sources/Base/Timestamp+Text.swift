import FoundationEssentials

extension Timestamp: CustomStringConvertible {
    public var description: String { withText { String(decoding: $0, as: UTF8.self) } }

    /// Appends the text.
    public func append(to bytes: inout [UInt8]) { withText { bytes.append(contentsOf: $0) } }

    /// Whole-number arithmetic: going through `Date` loses milliseconds to rounding.
    func withText<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let (days, milliseconds) = milliseconds.flooredDivision(by: 86_400_000)
        let (year, month, day) = Self.civil(days)
        let seconds = milliseconds / 1000
        // A year of any Int64 has at most nine digits and a sign.
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { text in
            var place = 0
            if (0...9999).contains(year) {
                Self.put(year, 4, UInt8(ascii: "-"), in: text, at: &place)
            } else {
                for byte in String(year).utf8 { Self.put(byte, in: text, at: &place) }
                Self.put(UInt8(ascii: "-"), in: text, at: &place)
            }
            Self.put(month, 2, UInt8(ascii: "-"), in: text, at: &place)
            Self.put(day, 2, UInt8(ascii: "T"), in: text, at: &place)
            Self.put(seconds / 3600, 2, UInt8(ascii: ":"), in: text, at: &place)
            Self.put(seconds / 60 % 60, 2, UInt8(ascii: ":"), in: text, at: &place)
            Self.put(seconds % 60, 2, UInt8(ascii: "."), in: text, at: &place)
            Self.put(milliseconds % 1000, 3, UInt8(ascii: "Z"), in: text, at: &place)
            return body(UnsafeBufferPointer(rebasing: text[..<place]))
        }
    }

    public init(_ text: String) throws(BerthError) {
        for style in [Date.ISO8601FormatStyle(includingFractionalSeconds: true), Date.ISO8601FormatStyle()] {
            if let date = try? Date(text, strategy: style),
                let milliseconds = Int64(exactly: (date.timeIntervalSince1970 * 1000).rounded())
            {
                self.init(milliseconds: milliseconds)
                return
            }
        }
        throw BerthError(
            .invalidValue,
            "'\(text.prefix(40))' is not a time",
            remedy: "write times like 2026-11-20T03:14:39.123Z (ISO 8601, UTC)"
        )
    }

    /// Year, month and day of a count of days since 1970-01-01, in eras of 400 years that begin on 1 March.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// `value` in exactly `width` digits, and what follows it.
    @inline(__always)
    private static func put(
        _ value: Int64,
        _ width: Int,
        _ end: UInt8,
        in text: UnsafeMutableBufferPointer<UInt8>,
        at place: inout Int
    ) {
        var rest = value
        for digit in stride(from: place + width - 1, through: place, by: -1) {
            text[digit] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        text[place + width] = end
        place += width + 1
    }

    private static func put(_ byte: UInt8, in text: UnsafeMutableBufferPointer<UInt8>, at place: inout Int) {
        text[place] = byte
        place += 1
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try Timestamp(try container.decode(String.self))
        } catch let error as BerthError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
