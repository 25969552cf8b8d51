import API
import Base

/// What a command line says: values as they were written, with typed access that names the flag at fault.
struct ParsedArguments: Sendable {
    var values: [String: [String]] = [:]
    var flags: Set<String> = []
    var operands: [String] = []

    func has(_ name: String) -> Bool { flags.contains(name) }
    func text(_ name: String) -> String? { values[name]?.last }
    func all(_ name: String) -> [String] { values[name] ?? [] }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(BerthError) -> Int? {
        guard let text = text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw BerthError(
                .usage,
                "'\(text)' does not fit",
                field: "--\(name)",
                remedy: "give a whole number, \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    func number(_ name: String) throws(BerthError) -> Double? {
        guard let text = text(name) else { return nil }
        guard let number = Double(text), number > 0, number.isFinite else {
            throw BerthError(.usage, "'\(text)' is not a number above 0", field: "--\(name)", remedy: "such as 1.50")
        }
        return number
    }

    func choice(_ name: String, of choices: [String]) throws(BerthError) -> String? {
        guard let text = text(name) else { return nil }
        guard choices.contains(text) else {
            let near = Similarity.nearest(text, in: choices).map { "did you mean '\($0)'? " } ?? ""
            throw BerthError(
                .usage,
                "'\(text)' is not one of its values",
                field: "--\(name)",
                remedy: near + "values: \(choices.joined(separator: ", "))"
            )
        }
        return text
    }

    /// Milliseconds of `90`, `90s`, `30m`, `2h` or `250ms`; a bare number is seconds.
    func milliseconds(_ name: String) throws(BerthError) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let value = DurationText.milliseconds(text), value > 0 else {
            throw BerthError(
                .usage,
                "'\(text)' is not a duration",
                field: "--\(name)",
                remedy: "write it like 250ms, 90s, 30m or 2h"
            )
        }
        return value
    }

    /// Bytes of `512M`, `2G`, `1048576`.
    func bytes(_ name: String) throws(BerthError) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let value = SizeText.bytes(text), value > 0 else {
            throw BerthError(.usage, "'\(text)' is not a size", field: "--\(name)", remedy: "write it like 512M or 2G")
        }
        return value
    }
}

enum DurationText {
    static func milliseconds(_ text: String) -> Int64? {
        let units: [(suffix: String, factor: Double)] = [
            ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        let unit = units.first { text.hasSuffix($0.suffix) && text.dropLast($0.suffix.count).last?.isNumber == true }
        let number = unit.map { text.dropLast($0.suffix.count) } ?? text[...]
        guard let value = Double(number), value.isFinite, value >= 0, value < 1e12 else { return nil }
        return Int64(value * (unit?.factor ?? 1000))
    }

    /// Short form for people: `412 ms`, `8.4 s`, `12 m 5 s`, `3 h 2 m`.
    static func text(milliseconds: Int64) -> String {
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<60_000: return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
        case ..<3_600_000: return "\(milliseconds / 60_000) m \(milliseconds % 60_000 / 1000) s"
        default: return "\(milliseconds / 3_600_000) h \(milliseconds % 3_600_000 / 60_000) m"
        }
    }
}

enum SizeText {
    static func bytes(_ text: String) -> Int64? {
        var number = text[...]
        for suffix in ["iB", "B"] where number.hasSuffix(suffix) { number = number.dropLast(suffix.count) }
        let shift: Int64 =
            switch number.last {
            case "K", "k": 10
            case "M", "m": 20
            case "G", "g": 30
            case "T", "t": 40
            default: 0
            }
        if shift > 0 { number = number.dropLast() }
        guard let value = Double(number), value.isFinite, value >= 0 else { return nil }
        let bytes = value * Double(Int64(1) << shift)
        return bytes < 0x1p62 ? Int64(bytes) : nil
    }

    static func text(_ bytes: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
