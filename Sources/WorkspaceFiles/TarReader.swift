public import Base

/// Takes a tar archive apart as it comes, whatever its pieces: ustar, pax (POSIX.1-2001) and GNU's long names. Pure.
public struct TarReader: Sendable {
    public enum Event: Sendable, Equatable {
        case member(TarMember)
        /// Of the member before.
        case content(ArraySlice<UInt8>)
        /// All of its content has come.
        case memberEnd
    }

    private enum State: Sendable {
        case header  // → content, extension, end
        case content(left: Int64, padding: Int)
        case extended(Extension, left: Int, padding: Int, [UInt8])
        case end
    }

    private enum Extension: Sendable { case records, globalRecords, longName, longLink }

    /// Of one extended header; paths have at most 4,096 bytes.
    private static let maximumExtension = 1 << 20

    private var state = State.header
    private var bytes: [UInt8] = []
    private var start = 0
    private var path: [UInt8]?
    private var link: [UInt8]?
    private var size: Int64?
    private var modifiedAt: Int64?

    public init() {}

    /// Whether the mark of the end has come: an archive without it was cut off.
    public var isWhole: Bool { if case .end = state { true } else { false } }

    public mutating func append(_ more: some Sequence<UInt8>) {
        if case .end = state { return }
        bytes.removeFirst(start)
        start = 0
        bytes.append(contentsOf: more)
    }

    private var available: Int { bytes.count - start }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        defer { start += count }
        return bytes[start..<start + count]
    }

    /// nil: more bytes are needed, or the archive is at its end. Throws `invalid_value`.
    public mutating func next() throws(BerthError) -> Event? {
        while true {
            switch state {
            case .end: return nil
            case .header:
                guard available >= TarFormat.block else { return nil }
                let block = take(TarFormat.block)
                if block.allSatisfy({ $0 == 0 }) {
                    state = .end
                    return nil
                }
                if let event = try begin(Array(block)) { return event }
            case .content(0, let padding):
                guard available >= padding else { return nil }
                _ = take(padding)
                state = .header
                return .memberEnd
            case .content(let left, let padding):
                guard available > 0 else { return nil }
                let piece = take(Int(min(left, Int64(available))))
                state = .content(left: left - Int64(piece.count), padding: padding)
                return .content(piece)
            case .extended(let kind, 0, let padding, let collected):
                guard available >= padding else { return nil }
                _ = take(padding)
                try apply(kind, collected)
                state = .header
            case .extended(let kind, let left, let padding, let collected):
                guard available > 0 else { return nil }
                let piece = take(min(left, available))
                state = .extended(kind, left: left - piece.count, padding: padding, collected + piece)
            }
        }
    }

    private mutating func begin(_ block: [UInt8]) throws(BerthError) -> Event? {
        let sum = block.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
        guard let written = Self.number(block[148..<156]), written == Int64(sum) else {
            throw Self.malformed("a header's check sum is wrong")
        }
        guard var length = Self.number(block[124..<136]), length >= 0 else {
            throw Self.malformed("a member's length is no number")
        }
        let type = block[156]
        if let kind = Self.extensionKind(type) {
            guard length <= Self.maximumExtension else { throw Self.malformed("an extended header is too long") }
            state = .extended(kind, left: Int(length), padding: TarFormat.padding(after: length), [])
            return nil
        }
        if let size { length = size }
        defer { (path, link, size, modifiedAt) = (nil, nil, nil, nil) }
        let target = link ?? Self.text(block[157..<257])
        let kind: TarMember.Kind
        switch type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): kind = .file
        case UInt8(ascii: "1"): kind = .hardLink(target: target)
        case UInt8(ascii: "2"): kind = .symlink(target: target)
        case UInt8(ascii: "5"): kind = .directory
        default: kind = .other
        }
        // Only what has content says so; some writers give links the length of their target.
        let content = kind == .file || kind == .other ? length : 0
        let isUstar = block[257..<262].elementsEqual("ustar".utf8)
        let prefix = isUstar ? Self.text(block[345..<500]) : []
        let name = Self.text(block[0..<100])
        // GNU's own headers use the prefix for something else.
        let isGNU = isUstar && block[262] == UInt8(ascii: " ")
        let joined = prefix.isEmpty || isGNU ? name : prefix + [UInt8(ascii: "/")] + name
        let member = TarMember(
            path: path ?? joined,
            kind: kind,
            size: content,
            mode: Int(Self.number(block[100..<108]) ?? 0o644) & 0o7777,
            modifiedAt: modifiedAt ?? Self.number(block[136..<148]) ?? 0
        )
        state = .content(left: content, padding: TarFormat.padding(after: content))
        return .member(member)
    }

    private static func extensionKind(_ type: UInt8) -> Extension? {
        switch type {
        case UInt8(ascii: "x"): .records
        case UInt8(ascii: "g"): .globalRecords
        case UInt8(ascii: "L"): .longName
        case UInt8(ascii: "K"): .longLink
        default: nil
        }
    }

    private mutating func apply(_ kind: Extension, _ content: [UInt8]) throws(BerthError) {
        switch kind {
        case .globalRecords: return
        case .longName: path = Self.text(content[...])
        case .longLink: link = Self.text(content[...])
        case .records:
            var rest = content[...]
            while !rest.isEmpty {
                guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
                    let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length <= rest.count,
                    length > space - rest.startIndex + 1
                else { throw Self.malformed("an extended header cannot be read") }
                let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
                rest = rest.dropFirst(length)
                guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                    throw Self.malformed("an extended header cannot be read")
                }
                let value = record[(equals + 1)...]
                switch String(decoding: record[..<equals], as: UTF8.self) {
                case "path": path = Array(value)
                case "linkpath": link = Array(value)
                case "size":
                    guard let number = Int64(String(decoding: value, as: UTF8.self)), number >= 0 else {
                        throw Self.malformed("a member's length is no number")
                    }
                    size = number
                case "mtime":
                    modifiedAt = Int64(String(decoding: value.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self))
                default: break
                }
            }
        }
    }

    private static func text(_ field: ArraySlice<UInt8>) -> [UInt8] { Array(field.prefix { $0 != 0 }) }

    /// Octal, or base 256 where the first bit is set (GNU).
    private static func number(_ field: ArraySlice<UInt8>) -> Int64? {
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 {
            // More than eight bytes of number fit nowhere.
            let digits = [first & 0x7F] + field.dropFirst()
            guard digits.dropLast(8).allSatisfy({ $0 == 0 }) else { return nil }
            let value = digits.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return Int64(exactly: value)
        }
        let text = field.drop { $0 == 32 }.prefix { $0 != 0 && $0 != 32 }
        return text.isEmpty ? 0 : Int64(String(decoding: text, as: UTF8.self), radix: 8)
    }

    private static func malformed(_ what: String) -> BerthError {
        BerthError(.invalidValue, "this is no tar archive: \(what)", remedy: "make it with tar(1), uncompressed")
    }
}
