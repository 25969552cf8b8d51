public import Base

/// A name and a port that an environment may reach: `github.com:443`, or `*.npmjs.org:443` for every name below one.
public struct NetworkRule: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Lower case; without the `*.` of a rule for what is below it.
    public let name: String
    public let isForSubdomains: Bool
    public let port: Int

    public var description: String { (isForSubdomains ? "*." : "") + "\(name):\(port)" }

    public init(_ text: String) throws(BerthError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let port = Int(parts[1]), (1...65535).contains(port) else { throw Self.refused(text) }
        var name = parts[0].lowercased()
        isForSubdomains = name.hasPrefix("*.")
        if isForSubdomains { name.removeFirst(2) }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        // A name whose last label is a number is an address (RFC 1123, section 2.1).
        guard name.utf8.count <= 253, labels.allSatisfy(Self.isLabel),
            labels.last?.utf8.allSatisfy({ (0x30...0x39).contains($0) }) == false
        else { throw Self.refused(text) }
        self.name = name
        self.port = port
    }

    private static func isLabel(_ label: Substring) -> Bool {
        (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
            && label.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
            }
    }

    private static func refused(_ text: String) -> BerthError {
        BerthError(
            .invalidValue,
            "'\(text.prefix(80))' is no name with a port",
            field: "network.allow",
            remedy: "write it like github.com:443 or *.npmjs.org:443; addresses are not names"
        )
    }

    /// - Parameter name: lower case, without a final dot.
    public func matches(_ name: String) -> Bool {
        isForSubdomains ? name.hasSuffix("." + self.name) : name == self.name
    }

    public static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}

extension NetworkRule: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try NetworkRule(try container.decode(String.self))
        } catch let error as BerthError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
