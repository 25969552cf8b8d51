public import Base

/// What an environment may reach. Host services and metadata addresses are out of reach under every policy,
/// except the host loopback ports named in `hostPorts`.
public struct NetworkPolicy: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Its own loopback only.
        case none
        /// The public internet.
        case open
    }

    public var kind: Kind
    /// TCP ports of the host's loopback that appear at the same port of the environment's loopback.
    public var hostPorts: [Int]

    public init(_ kind: Kind, hostPorts: [Int] = []) throws(BerthError) {
        self.kind = kind
        self.hostPorts = hostPorts
        try validate()
    }

    private init(unchecked kind: Kind) {
        self.kind = kind
        hostPorts = []
    }

    public static let open = NetworkPolicy(unchecked: .open)
    public static let none = NetworkPolicy(unchecked: .none)

    public func validate() throws(BerthError) {
        for port in hostPorts where !(1...65535).contains(port) {
            throw BerthError(
                .invalidValue,
                "\(port) is not a TCP port",
                field: "network.hostPorts",
                remedy: "ports are 1 to 65535"
            )
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(Kind.self, forKey: .kind)
        hostPorts = try container.decodeIfPresent([Int].self, forKey: .hostPorts) ?? []
        try validate()
    }
}
