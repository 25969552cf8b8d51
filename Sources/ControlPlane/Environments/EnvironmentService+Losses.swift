import Base
import Domain

extension EnvironmentService {
    /// What stopping it takes from it now, in words; its files stay. Empty where nothing runs.
    public func losses(of record: EnvironmentRecord) async throws -> [String] {
        guard [.starting, .running, .pausing, .paused].contains(record.state) else { return [] }
        var words = ["every process in it, with what it has in memory"]
        let count = try await openCount(in: record)
        if count > 0 { words.append("\(count) execution\(count == 1 ? ", which ends" : "s, which end") as lost") }
        let report = activity.entry(record.id).flatMap { $0.instance == record.instance ? $0.report : nil }
        let terminals = report?.uses.first { $0.kind == UseKind.terminal.rawValue }?.open ?? 0
        if terminals > 0 { words.append("\(terminals) terminal\(terminals == 1 ? "" : "s")") }
        return words
    }
}
