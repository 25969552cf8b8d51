extension SocketAddress {
    /// In network order: 4 or 16 bytes, none for a unix socket.
    public var bytes: [UInt8] {
        if case .ip(let bytes, _, _, _) = storage { bytes } else { [] }
    }

    /// The IPv4 address inside an IPv4-mapped one (RFC 4291, section 2.5.5.2), which is how IPv4 peers appear on a socket
    /// that listens on `::`; any other as it is.
    public var unmapped: SocketAddress {
        guard case .ip(let bytes, .ipv6, let port, _) = storage,
            bytes.starts(with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])
        else { return self }
        return SocketAddress(storage: .ip(bytes: Array(bytes[12...]), family: .ipv4, port: port, scope: 0))
    }

    /// `0.0.0.0` or `::`.
    public var isAny: Bool { !bytes.isEmpty && bytes.allSatisfy { $0 == 0 } }
}
