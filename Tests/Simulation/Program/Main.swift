import Base
import FoundationEssentials
import Glibc
import Simulation

/// `simulate machines|services [--seed N] [--schedules N] [--jobs N] [--mistake NAME] [--without 1,2] [--trace] [--json]`
///
/// Exits 1 at the first schedule that breaks a rule, after finding the few parts of it that are needed and printing what
/// happens in it.
@main
enum Program {
    static func main() async {
        do {
            exit(try await Invocation(Array(CommandLine.arguments.dropFirst())).run())
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

struct Invocation: Sendable {
    var tier = Simulation.Tier.machines
    var seed: UInt64 = 1
    var schedules: UInt64 = 1000
    var jobs: UInt64 = 1
    var mistakes: Set<Mistake> = []
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
            case "--jobs": jobs = max(1, try number(argument))
            case "--without": without = Set(try value(argument).split(separator: ",").compactMap { Int($0) })
            case "--trace": isTracing = true
            case "--json": isJSON = true
            case "--mistake":
                guard let mistake = Mistake(rawValue: try value(argument)) else {
                    throw BerthError(
                        .invalidValue,
                        "there is no such mistake to plant",
                        remedy: "one of " + Mistake.allCases.map(\.rawValue).joined(separator: ", ")
                    )
                }
                mistakes.insert(mistake)
            default:
                guard let named = Simulation.Tier(rawValue: argument) else {
                    throw BerthError(.invalidValue, "'\(argument)' is neither 'machines' nor 'services' nor an option")
                }
                tier = named
            }
        }
    }

    func run() async throws -> Int32 {
        let began = SystemTime().uptime
        do {
            let coverage = try await isTracing ? trace() : all()
            let seconds = Double((SystemTime().uptime - began).wholeMilliseconds) / 1000
            print(Report(tier: tier, seed: seed, seconds: seconds, coverage: coverage).text(asJSON: isJSON))
            return 0
        } catch let failure as Simulation.Failure {
            try report(failure)
            return 1
        }
    }

    private func trace() throws -> Coverage {
        var coverage = Coverage()
        try Simulation(tier, mistakes: mistakes).run(seed: seed, without: without, into: &coverage) { print($0) }
        return coverage
    }

    /// Each job takes every `jobs`-th seed.
    private func all() async throws -> Coverage {
        try await withThrowingTaskGroup(of: Coverage.self) { group in
            for job in 0..<jobs {
                group.addTask { [self] in
                    let simulation = try Simulation(tier, mistakes: mistakes)
                    var coverage = Coverage()
                    for number in stride(from: job, to: schedules, by: Int(jobs)) {
                        try Task.checkCancellation()
                        try simulation.run(
                            seed: seed + number,
                            without: without,
                            into: &coverage
                        )
                    }
                    return coverage
                }
            }
            var coverage = Coverage()
            for try await part in group { coverage.add(part) }
            return coverage
        }
    }

    private func report(_ failure: Simulation.Failure) throws {
        let simulation = try Simulation(tier, mistakes: mistakes)
        StandardError.print("schedule \(failure.seed - seed + 1), seed \(failure.seed): \(failure.breach)")
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
