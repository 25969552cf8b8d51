import Base

/// Text in Prometheus's exposition format, version 0.0.4.
struct PrometheusText {
    enum Kind: String { case counter, gauge, histogram }

    static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""
    private var family = ""

    /// Begins a family: all samples that follow are its own.
    mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        family = name
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func sample(_ labels: KeyValuePairs<String, String>, _ value: some CustomStringConvertible) {
        sample("", Array(labels), value)
    }

    /// - Parameters:
    ///   - bounds: upper bounds of the classes, in seconds.
    ///   - counts: how many fell in each class, and last those beyond them all.
    mutating func histogram(
        _ labels: KeyValuePairs<String, String>,
        bounds: [Double],
        counts: [UInt64],
        sum: Double
    ) {
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < bounds.count ? Self.number(bounds[index]) : "+Inf"
            sample("_bucket", labels + [("le", bound)], total)
        }
        sample("_sum", Array(labels), Self.number(sum))
        sample("_count", Array(labels), total)
    }

    /// One gauge or counter without labels.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: some CustomStringConvertible) {
        begin(name, kind, help)
        sample([:], value)
    }

    private mutating func sample(
        _ suffix: String,
        _ labels: [(key: String, value: String)],
        _ value: some CustomStringConvertible
    ) {
        text += family + suffix
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }
            text += "{" + pairs.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    static func number(_ value: Double) -> String {
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += #"\\"#
            case "\n": result += #"\n"#
            case "\"" where quotes: result += #"\""#
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
