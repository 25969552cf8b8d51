import Base

/// A strict reader of Prometheus's text format 0.0.4: every sample belongs to the family announced before it, names and
/// escapes are checked, a histogram's classes rise and agree with its count.
enum Exposition {
    struct Sample {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    struct Family {
        var help = ""
        var kind = ""
        var samples: [Sample] = []
        var name = ""

        func value(_ labels: [String: String], suffix: String = "") -> Double? {
            samples.first { $0.labels == labels && $0.name == name + suffix }?.value
        }
    }

    static func parse(_ text: String) throws -> [String: Family] {
        guard text.hasSuffix("\n") else { throw wrong("the last line has no end") }
        var families: [String: Family] = [:]
        var current = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# HELP ") {
                let parts = line.dropFirst(7).split(separator: " ", maxSplits: 1)
                current = try checked(String(parts[0]))
                guard families[current] == nil, parts.count == 2 else { throw wrong("\(line)") }
                families[current] = Family(help: try unescaped(parts[1], quotes: false), name: current)
            } else if line.hasPrefix("# TYPE ") {
                let parts = line.dropFirst(7).split(separator: " ")
                guard parts.count == 2, parts[0] == current, families[current]?.kind == "" else {
                    throw wrong("\(line)")
                }
                guard ["counter", "gauge", "histogram"].contains(parts[1]) else { throw wrong("\(line)") }
                families[current]?.kind = String(parts[1])
            } else {
                let sample = try sample(line)
                guard let family = families[current], belongs(sample, to: family) else { throw wrong("\(line)") }
                families[current]?.samples.append(sample)
            }
        }
        for family in families.values where family.kind == "histogram" { try checkHistogram(family) }
        return families
    }

    private static func belongs(_ sample: Sample, to family: Family) -> Bool {
        family.kind == "histogram"
            ? ["_bucket", "_sum", "_count"].contains { sample.name == family.name + $0 } : sample.name == family.name
    }

    private static func sample(_ line: Substring) throws -> Sample {
        var rest = line
        let name = try checked(String(rest.prefix { $0 != "{" && $0 != " " }))
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest.removeFirst()
            while rest.first != "}" {
                let label = try checked(String(rest.prefix { $0 != "=" }))
                rest = rest.dropFirst(label.count)
                guard rest.hasPrefix("=\"") else { throw wrong("\(line)") }
                rest = rest.dropFirst(2)
                var raw = ""
                while let next = rest.popFirst(), next != "\"" {
                    raw.append(next)
                    if next == "\\", let escaped = rest.popFirst() { raw.append(escaped) }
                }
                guard labels.updateValue(try unescaped(Substring(raw), quotes: true), forKey: label) == nil else {
                    throw wrong("\(line)")
                }
                if rest.first == "," { rest.removeFirst() }
            }
            rest.removeFirst()
        }
        guard rest.first == " ", let value = Double(rest.dropFirst()) else { throw wrong("\(line)") }
        return Sample(name: name, labels: labels, value: value)
    }

    private static func checkHistogram(_ family: Family) throws {
        let buckets = family.samples.filter { $0.name == family.name + "_bucket" }
        var groups: [[String: String]: [(bound: Double, count: Double)]] = [:]
        for bucket in buckets {
            var labels = bucket.labels
            guard let text = labels.removeValue(forKey: "le"), let bound = text == "+Inf" ? .infinity : Double(text)
            else {
                throw wrong("a class of \(family.name) has no bound")
            }
            groups[labels, default: []].append((bound, bucket.value))
        }
        for (labels, group) in groups {
            let rises = zip(group, group.dropFirst()).allSatisfy { $0.bound < $1.bound && $0.count <= $1.count }
            guard rises, group.last?.bound == .infinity, family.value(labels, suffix: "_count") == group.last?.count,
                family.value(labels, suffix: "_sum") != nil
            else { throw wrong("the histogram \(family.name) \(labels) does not add up") }
        }
    }

    private static func checked(_ name: String) throws -> String {
        guard let first = name.first, first.isASCII, first.isLetter || first == "_",
            name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
        else { throw wrong("'\(name)' is no name") }
        return name
    }

    private static func unescaped(_ text: Substring, quotes: Bool) throws -> String {
        var result = ""
        var rest = text
        while let next = rest.popFirst() {
            guard next == "\\" else {
                result.append(next)
                continue
            }
            switch rest.popFirst() {
            case "\\": result.append("\\")
            case "n": result.append("\n")
            case "\"" where quotes: result.append("\"")
            default: throw wrong("an unknown escape in '\(text)'")
            }
        }
        return result
    }

    private static func wrong(_ what: String) -> BerthError { BerthError(.invalidValue, "not the format: \(what)") }
}
