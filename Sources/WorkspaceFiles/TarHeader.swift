/// One member of a tar archive (POSIX.1-2001, pax interchange format), without its content.
public struct TarMember: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case file
        case directory
        case symlink(target: [UInt8])
        case hardLink(target: [UInt8])
        /// A device, a pipe and the like.
        case other
    }

    public var path: [UInt8]
    public var kind: Kind
    /// Bytes of content that follow.
    public var size: Int64
    /// Permission bits.
    public var mode: Int
    /// Seconds since 1970.
    public var modifiedAt: Int64

    public init(path: [UInt8], kind: Kind, size: Int64, mode: Int, modifiedAt: Int64) {
        self.path = path
        self.kind = kind
        self.size = size
        self.mode = mode
        self.modifiedAt = modifiedAt
    }
}

/// Blocks of 512 bytes; pure.
public enum TarFormat {
    public static let block = 512
    /// The mark of an archive's end.
    public static let trailer = [UInt8](repeating: 0, count: 2 * block)
    /// Zeros after content of so many bytes.
    public static func padding(after size: Int64) -> Int { Int((Int64(block) - size % Int64(block)) % Int64(block)) }

    private static let octalLimit: Int64 = 1 << 33

    /// The header of a member, after an extended one where a field does not fit.
    public static func header(_ member: TarMember) -> [UInt8] {
        var records: [UInt8] = []
        var link: [UInt8] = []
        let type: UInt8
        switch member.kind {
        case .file, .other: type = UInt8(ascii: "0")
        case .directory: type = UInt8(ascii: "5")
        case .symlink(let target):
            type = UInt8(ascii: "2")
            link = target
        case .hardLink(let target):
            type = UInt8(ascii: "1")
            link = target
        }
        var path = member.path
        if member.kind == .directory, path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
        if path.count > 100 { records += record("path", path) }
        if link.count > 100 { records += record("linkpath", link) }
        if member.size >= octalLimit { records += record("size", Array(String(member.size).utf8)) }
        let own = block(path, type, link, member.size, member.mode, max(0, member.modifiedAt))
        guard !records.isEmpty else { return own }
        let name = Array("PaxHeaders/".utf8) + path.suffix(80)
        return block(name, UInt8(ascii: "x"), [], Int64(records.count), 0o644, max(0, member.modifiedAt)) + records
            + [UInt8](repeating: 0, count: padding(after: Int64(records.count))) + own
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts itself.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = [UInt8(ascii: " ")] + Array(key.utf8) + [UInt8(ascii: "=")] + value + [UInt8(ascii: "\n")]
        var length = rest.count + String(rest.count).utf8.count
        length = rest.count + String(length).utf8.count
        return Array(String(length).utf8) + rest
    }

    private static func block(
        _ path: [UInt8],
        _ type: UInt8,
        _ link: [UInt8],
        _ size: Int64,
        _ mode: Int,
        _ modifiedAt: Int64
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: block)
        func put(_ value: some Collection<UInt8>, at offset: Int, _ limit: Int) {
            for (index, byte) in value.prefix(limit).enumerated() { bytes[offset + index] = byte }
        }
        func octal(_ value: Int64, _ digits: Int) -> [UInt8] {
            let text = Array(String(value, radix: 8).utf8)
            return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text.suffix(digits)
        }
        put(path, at: 0, 100)
        put(octal(Int64(mode & 0o7777), 7), at: 100, 7)
        put(octal(0, 7), at: 108, 7)
        put(octal(0, 7), at: 116, 7)
        put(octal(size < octalLimit ? size : 0, 11), at: 124, 11)
        put(octal(min(modifiedAt, octalLimit - 1), 11), at: 136, 11)
        bytes[156] = type
        put(link, at: 157, 100)
        put(Array("ustar\u{0}00".utf8), at: 257, 8)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148, 8)
        let sum = bytes.reduce(0) { $0 + Int($1) }
        put(octal(Int64(sum), 6) + [0, UInt8(ascii: " ")], at: 148, 8)
        return bytes
    }
}
