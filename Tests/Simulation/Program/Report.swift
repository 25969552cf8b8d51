import FoundationEssentials
import Simulation

/// What a run of many schedules showed.
struct Report: Encodable {
    var tier: String
    var firstSeed: UInt64
    var schedules: Int
    var events: Int
    var fewestEvents: Int
    var attempts: Int
    var ends: [String: Int]
    var seconds: Double
    /// Fault, then state, then how often they met.
    var coverage: [String: [String: Int]] = [:]

    private let table: Coverage

    private enum CodingKeys: CodingKey {
        case tier, firstSeed, schedules, events, fewestEvents, attempts, ends, seconds, coverage
    }

    init(tier: Simulation.Tier, seed: UInt64, seconds: Double, coverage: Coverage) {
        self.tier = tier.rawValue
        firstSeed = seed
        schedules = coverage.schedules
        events = coverage.events
        fewestEvents = coverage.fewestEvents
        attempts = coverage.attempts
        ends = coverage.ends
        self.seconds = seconds
        table = coverage
        for (row, fault) in Plan.FaultKind.allCases.enumerated() {
            for (column, state) in Coverage.states.enumerated() {
                self.coverage[fault.rawValue, default: [:]][state] = coverage.counts[row][column]
            }
        }
    }

    func text(asJSON: Bool) -> String {
        if asJSON {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        }
        let rate = seconds > 0 ? Int(Double(schedules) / seconds) : 0
        let endings = ends.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        var lines = [
            "\(tier): \(schedules) schedules from seed \(firstSeed), \(events) events (at least \(fewestEvents) each), "
                + "\(attempts) processes, \(rate) schedules/s: every rule held",
            "ends: \(endings)", "",
        ]
        let width = Plan.FaultKind.allCases.map(\.rawValue.count).max() ?? 0
        for (number, state) in Coverage.states.enumerated() { lines.append("(\(number + 1)) \(state)") }
        lines.append(
            pad("fault \\ state", width) + Coverage.states.indices.map { pad("(\($0 + 1))", 9, isRight: true) }.joined()
        )
        for (row, fault) in Plan.FaultKind.allCases.enumerated() {
            lines.append(
                pad(fault.rawValue, width) + table.counts[row].map { pad(String($0), 9, isRight: true) }.joined()
            )
        }
        return lines.joined(separator: "\n")
    }

    private func pad(_ text: String, _ width: Int, isRight: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return isRight ? space + text : text + space
    }
}
