import FoundationEssentials

/// How many random walks a test takes, and from which seed on; `make sim` asks for many more (scripts/simulate).
enum Walks {
    static let seeds: Range<UInt64> = {
        let variables = ProcessInfo.processInfo.environment
        let first = variables["SIM_SEED"].flatMap { UInt64($0) } ?? 0
        return first..<first + (variables["SIM_SCHEDULES"].flatMap { UInt64($0) } ?? 200)
    }()

    /// What did not hold on a walk.
    struct Breach: Error, CustomStringConvertible {
        let description: String
    }

    /// Cheaper than an expectation, of which a long simulation would take millions.
    static func hold(_ holds: Bool, _ words: @autoclosure () -> String) throws {
        guard holds else { throw Breach(description: words()) }
    }

    /// Walks with every seed; the first that throws is told with its seed, to be walked again.
    static func each(_ walk: (UInt64) throws -> Void) throws {
        for seed in seeds {
            do { try walk(seed) } catch {
                throw Breach(description: "SIM_SEED=\(seed) SIM_SCHEDULES=1: \(error)")
            }
        }
    }
}
