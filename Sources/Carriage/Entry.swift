internal import Base

/// One piece of what a hand-over carries. On the wire: kind (1 byte), mode (4), length of the path (4), length of the
/// payload (8), then path and payload; numbers are big-endian. A path is bytes, as Linux has it.
public struct Entry: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// JSON of ``Manifest``. The first one.
        case manifest = 1
        /// git's `shallow` file, needed before the objects.
        case shallow = 2
        /// A pack (gitformat-pack(5)), thin: what it builds on is there already.
        case pack = 3
        /// The index, bit by bit.
        case index = 4
        /// A file of the git directory: a merge, a rebase, `info/exclude`, hooks.
        case gitFile = 5
        /// A file of the working tree that differs from the index or is not in it.
        case file = 6
        /// A symbolic link of the working tree; the payload is its target.
        case link = 7
        /// In the index and not in the working tree.
        case deletion = 8
        /// A file of an agent's own memory, under a name that does not depend on where the checkout lies.
        case transcript = 9
        /// JSON of what a terminal was.
        case terminal = 10
        /// Bytes of the terminal before it; the path is their offset in decimal digits.
        case terminalBytes = 11
        /// Of agent sessions, as the environment keeps them.
        case session = 12
        /// When the bytes of the terminal before it came: its file, as it is.
        case terminalTimes = 13
        /// The last one.
        case end = 255
    }

    public var kind: Kind
    public var path: [UInt8]
    /// Permission bits.
    public var mode: UInt32
    /// Of the payload, in bytes.
    public var size: Int64

    public init(_ kind: Kind, path: [UInt8] = [], mode: UInt32 = 0o644, size: Int64 = 0) {
        self.kind = kind
        self.path = path
        self.mode = mode
        self.size = size
    }

    static let headLength = 17
    /// Linux's PATH_MAX.
    static let longestPath = 4096

    var head: [UInt8] {
        var bytes = [kind.rawValue]
        withUnsafeBytes(of: mode.bigEndian) { bytes += $0 }
        withUnsafeBytes(of: UInt32(path.count).bigEndian) { bytes += $0 }
        withUnsafeBytes(of: UInt64(size).bigEndian) { bytes += $0 }
        return bytes
    }

    /// - Returns: the entry without its path, and the path's length.
    static func parse(head: [UInt8]) throws(BerthError) -> (Entry, Int) {
        func number(_ range: Range<Int>) -> UInt64 { head[range].reduce(0) { $0 << 8 | UInt64($1) } }
        guard head.count == headLength, let kind = Kind(rawValue: head[0]) else {
            throw damaged("it holds something that this version does not know")
        }
        let (path, size) = (number(5..<9), number(9..<17))
        guard path <= longestPath, size <= UInt64(Int64.max) else { throw damaged("a length is out of range") }
        return (Entry(kind, mode: UInt32(number(1..<5)) & 0o7777, size: Int64(size)), Int(path))
    }

    static func damaged(_ why: String) -> BerthError {
        BerthError(.protocolViolation, "what came of the workspace cannot be read: \(why)", remedy: "send it again")
    }

    /// The path as a person reads it.
    public var name: String { String(decoding: path, as: UTF8.self) }

    /// Whether it leads to somewhere below, whatever the place: relative, without `.`, `..` and NUL.
    var isConfined: Bool {
        !path.isEmpty && !path.contains(0)
            && path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
            }
    }

    /// Whether it lies in the checkout's own git directory, which no file of the tree does.
    var isInsideGit: Bool {
        let first = path.prefix { $0 != UInt8(ascii: "/") }
        return String(decoding: first, as: UTF8.self).lowercased() == ".git"
    }
}
