internal import Base
internal import Domain

extension ProviderCapabilities {
    func unsupported(_ what: String) -> BerthError {
        BerthError(
            .unsupported,
            "this provider cannot \(what) on this machine",
            remedy: limitations.isEmpty ? nil : limitations.joined(separator: "; ")
        )
    }
}

extension InstanceRequest {
    /// Refuses what the provider cannot do, before anything is made.
    func check(against capabilities: ProviderCapabilities) throws(BerthError) {
        try limits.validate()
        try network.validate()
        guard !hostname.isEmpty, hostname.utf8.count <= 63,
            hostname.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D })
        else {
            throw BerthError(
                .invalidValue,
                "'\(hostname.prefix(80))' is not a host name",
                field: "hostname",
                remedy: "1 to 63 of a-z, 0-9 and -"
            )
        }
        if image != nil, !capabilities.images {
            throw BerthError(
                .unsupported,
                "this provider makes every environment of the same image",
                field: "image",
                remedy: "leave the image out, or use the provider docker"
            )
        }
        let open = capabilities.unenforced(limits)
        if limitsPolicy == .required, !open.isEmpty {
            throw BerthError(
                .unsupported,
                "limits are required, and these cannot be enforced here: \(open.joined(separator: ", "))",
                field: "limitsPolicy",
                remedy: capabilities.limitations.joined(separator: "; ")
            )
        }
        let needsNetwork = network.kind != .none || !network.hostPorts.isEmpty
        if !capabilities.networks.contains(network.kind) || (needsNetwork && capabilities.networks == [.none]) {
            throw BerthError(
                .unsupported,
                "this provider cannot give the network '\(network.kind.rawValue)' on this machine",
                field: "network.kind",
                remedy: capabilities.limitations.joined(separator: "; ")
            )
        }
    }
}

extension EnvironmentDirectory {
    func checkSocketPath() throws(BerthError) {
        let length = max(linkSocket.utf8.count, (run + "/hold.sock").utf8.count)
        guard length <= Self.socketPathLimit else {
            throw BerthError(
                .invalidPath,
                "the path of the environment's socket would have \(length) bytes; unix sockets allow"
                    + " \(Self.socketPathLimit): \(linkSocket)",
                remedy: "use a shorter data directory"
            )
        }
    }
}

extension AgentMount {
    /// A name becomes a directory's name inside.
    func checkName() throws(BerthError) {
        let isPlain =
            !name.isEmpty && name.utf8.count <= 64 && name != "." && name != ".."
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x2D || byte == 0x5F || byte == 0x2E
            }
        guard isPlain else {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(80))' is not an agent's name",
                field: "agents",
                remedy: "1 to 64 of A-Z, a-z, 0-9, '.', '-' and '_'"
            )
        }
    }
}
