internal import Base
internal import Domain

/// Which loopback address stands for which allowed name. Pure. An address, once given, is its name's for good, so that one
/// that a program remembers never leads to another name.
struct NamePins: Sendable {
    private(set) var rules: [NetworkRule] = []
    private var numbers: [String: UInt16] = [:]
    private static let most = 60_000

    mutating func set(_ rules: [NetworkRule]) {
        self.rules = rules
        // Names that are written out have their address before anybody asks.
        for rule in rules where !rule.isForSubdomains { _ = address(of: rule.name) }
    }

    /// nil for a name that no rule allows.
    mutating func address(of name: String) -> [UInt8]? {
        guard rules.contains(where: { $0.matches(name) }) else { return nil }
        if let number = numbers[name] { return Self.address(number) }
        guard numbers.count < Self.most else { return nil }
        let number = UInt16(numbers.count + 1)
        numbers[name] = number
        return Self.address(number)
    }

    /// Below 127.0.0.0/8, where every address is the machine's own (RFC 1122, section 3.2.1.3).
    private static func address(_ number: UInt16) -> [UInt8] { [127, 64, UInt8(number >> 8), UInt8(number & 0xFF)] }

    /// Where connections are to be taken now, in the order of names.
    var places: [Place] {
        numbers.sorted { $0.key < $1.key }.flatMap { name, number in
            Set(rules.filter { $0.matches(name) }.map(\.port)).sorted().map {
                Place(name: name, address: Self.address(number), port: $0)
            }
        }
    }

    struct Place: Hashable, Sendable {
        var name: String
        var address: [UInt8]
        var port: Int

        var host: String { address.map { "\($0)" }.joined(separator: ".") }
    }
}
