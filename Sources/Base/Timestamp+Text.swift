import FoundationEssentials

extension Timestamp: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the text. Whole-number arithmetic: going through `Date` loses milliseconds to rounding.
    public func append(to bytes: inout [UInt8]) {
        let (days, milliseconds) = milliseconds.flooredDivision(by: 86_400_000)
        let (year, month, day) = Self.civil(days)
        let seconds = milliseconds / 1000
        Self.append(year, 4, UInt8(ascii: "-"), to: &bytes)
        Self.append(month, 2, UInt8(ascii: "-"), to: &bytes)
        Self.append(day, 2, UInt8(ascii: "T"), to: &bytes)
        Self.append(seconds / 3600, 2, UInt8(ascii: ":"), to: &bytes)
        Self.append(seconds / 60 % 60, 2, UInt8(ascii: ":"), to: &bytes)
        Self.append(seconds % 60, 2, UInt8(ascii: "."), to: &bytes)
        Self.append(milliseconds % 1000, 3, UInt8(ascii: "Z"), to: &bytes)
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

    /// `value` in at least `width` digits, and what follows it.
    private static func append(_ value: Int64, _ width: Int, _ end: UInt8, to bytes: inout [UInt8]) {
        var power: Int64 = 10
        for _ in 1..<width {
            if value < power { bytes.append(UInt8(ascii: "0")) }
            power *= 10
        }
        JSONText.append(value, to: &bytes)
        bytes.append(end)
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
