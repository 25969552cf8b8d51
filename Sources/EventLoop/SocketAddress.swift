public import Base
internal import CUV
internal import Glibc

/// A numeric IPv4 or IPv6 address with a port, or the path of a unix socket.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    public enum Family: Sendable { case ipv4, ipv6, unix }

    let storage: Storage

    enum Storage: Hashable {
        case ip(bytes: [UInt8], family: Family, port: UInt16, scope: UInt32)
        case unix(String)
    }

    init(storage: Storage) { self.storage = storage }

    /// nil unless `host` is a numeric address and `port` is 0...65535.
    public init?(numericHost host: String, port: Int) {
        guard let port = UInt16(exactly: port) else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            let bytes = withUnsafeBytes(of: four) { Array($0) }
            storage = .ip(bytes: bytes, family: .ipv4, port: port, scope: 0)
            return
        }
        var six = in6_addr()
        let unbracketed = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard inet_pton(AF_INET6, unbracketed, &six) == 1 else { return nil }
        storage = .ip(bytes: withUnsafeBytes(of: six) { Array($0) }, family: .ipv6, port: port, scope: 0)
    }

    /// Refuses a path that does not fit the kernel's 107 bytes.
    public static func unix(_ path: String) throws(BerthError) -> SocketAddress {
        let length = path.utf8.count
        guard length > 0, length < maximumPathLength, !path.utf8.contains(0) else {
            throw BerthError(
                .invalidPath,
                "the socket path '\(path.prefix(200))' is \(length) bytes long",
                remedy: "use a path of 1 to \(maximumPathLength - 1) bytes"
            )
        }
        return SocketAddress(storage: .unix(path))
    }

    static let maximumPathLength = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    public var family: Family {
        switch storage {
        case .ip(_, let family, _, _): family
        case .unix: .unix
        }
    }

    /// 0 for a unix socket.
    public var port: Int {
        if case .ip(_, _, let port, _) = storage { Int(port) } else { 0 }
    }

    /// The address without port: `127.0.0.1`, `::1`, or the path.
    public var host: String {
        switch storage {
        case .unix(let path): return path
        case .ip(let bytes, let family, _, _):
            return bytes.withUnsafeBytes { bytes in
                withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
                    guard let text = text.baseAddress else { return "" }
                    inet_ntop(
                        family == .ipv4 ? AF_INET : AF_INET6,
                        bytes.baseAddress,
                        text,
                        socklen_t(INET6_ADDRSTRLEN)
                    )
                    return String(cString: text)
                }
            }
        }
    }

    /// `127.0.0.1:80`, `[::1]:80`, or `unix:/path`.
    public var description: String {
        switch family {
        case .ipv4: "\(host):\(port)"
        case .ipv6: "[\(host)]:\(port)"
        case .unix: "unix:\(host)"
        }
    }

    public var isLoopback: Bool {
        switch storage {
        case .ip(let bytes, .ipv4, _, _): bytes.first == 127
        case .ip(let bytes, _, _, _): bytes == [UInt8](repeating: 0, count: 15) + [1]
        case .unix: true
        }
    }
}

// MARK: - The kernel's form

extension SocketAddress {
    var domain: CInt {
        switch family {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        func call<Raw>(_ raw: inout Raw, _ length: Int) -> Result {
            withUnsafePointer(to: &raw) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
            }
        }
        switch storage {
        case .ip(let bytes, .ipv4, let port, _):
            var raw = sockaddr_in()
            raw.sin_family = sa_family_t(AF_INET)
            raw.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &raw.sin_addr) { $0.copyBytes(from: bytes) }
            return call(&raw, MemoryLayout<sockaddr_in>.size)
        case .ip(let bytes, _, let port, let scope):
            var raw = sockaddr_in6()
            raw.sin6_family = sa_family_t(AF_INET6)
            raw.sin6_port = port.bigEndian
            raw.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &raw.sin6_addr) { $0.copyBytes(from: bytes) }
            return call(&raw, MemoryLayout<sockaddr_in6>.size)
        case .unix(let path):
            var raw = sockaddr_un()
            raw.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &raw.sun_path) { $0.copyBytes(from: path.utf8) }
            return call(&raw, MemoryLayout<sockaddr_un>.size)
        }
    }

    /// nil for a family that is none of ours.
    init?(_ raw: UnsafePointer<sockaddr>, length: Int) {
        switch CInt(raw.pointee.sa_family) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            self = raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { raw in
                let bytes = withUnsafeBytes(of: raw.pointee.sin_addr) { Array($0) }
                return Self(
                    storage: .ip(bytes: bytes, family: .ipv4, port: UInt16(bigEndian: raw.pointee.sin_port), scope: 0)
                )
            }
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            self = raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { raw in
                let bytes = withUnsafeBytes(of: raw.pointee.sin6_addr) { Array($0) }
                let port = UInt16(bigEndian: raw.pointee.sin6_port)
                return Self(
                    storage: .ip(bytes: bytes, family: .ipv6, port: port, scope: raw.pointee.sin6_scope_id)
                )
            }
        case AF_UNIX:
            let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
            let path = UnsafeRawBufferPointer(start: raw, count: length).dropFirst(offset).prefix { $0 != 0 }
            self.init(storage: .unix(String(decoding: path, as: UTF8.self)))
        default: return nil
        }
    }

    /// The local address of a socket.
    init?(localOf descriptor: CInt) {
        self.init { getsockname(descriptor, $0, $1) }
    }

    init?(_ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt) {
        var raw = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let address = withUnsafeMutablePointer(to: &raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> SocketAddress? in
                fill(pointer, &length) == 0 ? SocketAddress(pointer, length: Int(length)) : nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
