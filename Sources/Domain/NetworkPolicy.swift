public import Base

/// What an environment may reach. Host services and metadata addresses are out of reach under every policy,
/// except the host loopback ports named in `hostPorts`.
public struct NetworkPolicy: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Its own loopback only.
        case none
        /// The names and ports of `allow`, by TCP.
        case allow
        /// The public internet.
        case open
    }

    public var kind: Kind
    /// TCP ports of the host's loopback that appear at the same port of the environment's loopback.
    public var hostPorts: [Int]
    /// May change while the environment runs.
    public var allow: [NetworkRule]

    private static let mostRules = 500

    public init(_ kind: Kind, hostPorts: [Int] = [], allow: [NetworkRule] = []) throws(BerthError) {
        self.kind = kind
        self.hostPorts = hostPorts
        self.allow = allow
        try validate()
    }

    private init(unchecked kind: Kind, hostPorts: [Int] = []) {
        self.kind = kind
        self.hostPorts = hostPorts
        allow = []
    }

    public static let open = NetworkPolicy(unchecked: .open)
    public static let none = NetworkPolicy(unchecked: .none)

    /// What its provider gives it. Where an allow-list leads goes through its worker's connection: there is no other way.
    public var provided: NetworkPolicy {
        kind == .allow ? NetworkPolicy(unchecked: .none, hostPorts: hostPorts) : self
    }

    /// - Parameter name: lower case, without a final dot.
    public func permits(_ name: String, port: Int) -> Bool {
        kind == .allow && allow.contains { $0.port == port && $0.matches(name) }
    }

    public func validate() throws(BerthError) {
        for port in hostPorts where !(1...65535).contains(port) {
            throw BerthError(
                .invalidValue,
                "\(port) is not a TCP port",
                field: "network.hostPorts",
                remedy: "ports are 1 to 65535"
            )
        }
        guard kind == .allow || allow.isEmpty else {
            throw BerthError(
                .invalidValue,
                "the network '\(kind.rawValue)' has no list of names",
                field: "network.allow",
                remedy: "use kind 'allow', or leave the list out"
            )
        }
        guard allow.count <= Self.mostRules else {
            throw BerthError(
                .invalidValue,
                "there are \(allow.count) names",
                field: "network.allow",
                remedy: "at most \(Self.mostRules); '*.example.com:443' stands for all below one"
            )
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(Kind.self, forKey: .kind)
        hostPorts = try container.decodeIfPresent([Int].self, forKey: .hostPorts) ?? []
        allow = try container.decodeIfPresent([NetworkRule].self, forKey: .allow) ?? []
        try validate()
    }
}
