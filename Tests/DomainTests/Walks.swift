/// Random walks over one machine, each from a seed. `make sim` walks all of them together, with workers, links and faults.
enum Walks {
    static let seeds: Range<UInt64> = 0..<200

    /// What did not hold on a walk.
    struct Breach: Error, CustomStringConvertible {
        let description: String
    }

    /// Cheaper than an expectation.
    static func hold(_ holds: Bool, _ words: @autoclosure () -> String) throws {
        guard holds else { throw Breach(description: words()) }
    }

    /// Walks with every seed; the first that throws is told with its seed.
    static func each(_ walk: (UInt64) throws -> Void) throws {
        for seed in seeds {
            do { try walk(seed) } catch { throw Breach(description: "seed \(seed): \(error)") }
        }
    }
}
