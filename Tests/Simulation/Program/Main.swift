import Base
import FoundationEssentials
import Glibc
import Simulation

/// `simulate machines|services [--seed N] [--schedules N] [--bug NAME] [--without 1,2] [--trace] [--json]`
///
/// Exits 1 at the first schedule that breaks a rule, after finding the few parts of it that are needed and printing what
/// happens in it.
@main
enum Program {
    static func main() {
        do {
            exit(try Invocation(Array(CommandLine.arguments.dropFirst())).run())
        } catch {
            StandardError.print("simulate: \(error)")
            exit(2)
        }
    }
}

enum StandardError {
    static func print(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}

struct Invocation {
    var tier = Simulation.Tier.machines
    var seed: UInt64 = 1
    var schedules: UInt64 = 1000
    var bugs: Set<Bug> = []
    var without: Set<Int> = []
    var isTracing = false
    var isJSON = false

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        func value(_ name: String) throws -> String {
            guard let value = rest.popFirst() else { throw BerthError(.invalidValue, "\(name) needs a value") }
            return value
        }
        func number(_ name: String) throws -> UInt64 {
            guard let number = UInt64(try value(name)) else {
                throw BerthError(.invalidValue, "\(name) needs a number")
            }
            return number
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--seed": seed = try number(argument)
            case "--schedules": schedules = try number(argument)
            case "--without": without = Set(try value(argument).split(separator: ",").compactMap { Int($0) })
            case "--trace": isTracing = true
            case "--json": isJSON = true
            case "--bug":
                guard let bug = Bug(rawValue: try value(argument)) else {
                    throw BerthError(
                        .invalidValue,
                        "there is no such bug to plant",
                        remedy: "one of " + Bug.allCases.map(\.rawValue).joined(separator: ", ")
                    )
                }
                bugs.insert(bug)
            default:
                guard let named = Simulation.Tier(rawValue: argument) else {
                    throw BerthError(.invalidValue, "'\(argument)' is neither 'machines' nor 'services' nor an option")
                }
                tier = named
            }
        }
    }

    func run() throws -> Int32 {
        let simulation = Simulation(tier, bugs: bugs)
        var coverage = Coverage()
        let began = SystemTime().uptime
        for number in 0..<(isTracing ? 1 : schedules) {
            do {
                try simulation.run(
                    seed: seed + number,
                    without: without,
                    into: &coverage,
                    tracer: isTracing ? { print($0) } : nil
                )
            } catch let failure as Simulation.Failure {
                report(simulation, failure, after: number + 1)
                return 1
            }
        }
        let seconds = Double((SystemTime().uptime - began).wholeMilliseconds) / 1000
        print(Report(tier: tier, seed: seed, seconds: seconds, coverage: coverage).text(asJSON: isJSON))
        return 0
    }

    private func report(_ simulation: Simulation, _ failure: Simulation.Failure, after count: UInt64) {
        StandardError.print("schedule \(count), seed \(failure.seed): \(failure.breach)")
        if isTracing { return }
        let least = simulation.shrink(failure)
        var unused = Coverage()
        try? simulation.run(seed: least.seed, without: least.without, into: &unused) { StandardError.print("  " + $0) }
        let parts = least.without.sorted().map(String.init).joined(separator: ",")
        StandardError.print(
            "again: SIM_SEED=\(least.seed) SIM_WITHOUT=\(parts) SIM_TIER=\(tier.rawValue) scripts/simulate"
        )
    }
}
