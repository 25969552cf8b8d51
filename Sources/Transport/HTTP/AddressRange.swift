internal import Base
public import EventLoop

/// Addresses that share a prefix (CIDR, RFC 4632 and RFC 4291, section 2.3): `10.0.0.0/8`, `2001:db8::/32`; one address
/// alone stands for itself, and `unix` for every peer of a unix socket.
public struct AddressRange: Sendable, Equatable {
    private let bytes: [UInt8]
    private let prefixLength: Int

    /// nil for what is none of these forms, and for a prefix longer than the address.
    public init?(_ text: some StringProtocol) {
        if text == "unix" {
            bytes = []
            prefixLength = 0
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = SocketAddress(numericHost: String(parts[0]), port: 0) else { return nil }
        bytes = address.bytes
        guard parts.count == 2 else {
            prefixLength = bytes.count * 8
            return
        }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = UInt8(parts[1]),
            length <= bytes.count * 8
        else {
            return nil
        }
        prefixLength = Int(length)
    }

    var isUnix: Bool { bytes.isEmpty }

    /// An IPv4-mapped address counts as the IPv4 address in it.
    public func contains(_ address: SocketAddress) -> Bool {
        let other = address.unmapped.bytes
        guard other.count == bytes.count else { return false }
        let whole = prefixLength / 8
        guard other[..<whole] == bytes[..<whole] else { return false }
        let rest = prefixLength % 8
        return rest == 0 || (other[whole] ^ bytes[whole]) >> (8 - rest) == 0
    }
}
