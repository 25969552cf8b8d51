/// A host name as DNS compares it: lower case, no final dot.
public struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// At most 63 bytes each, 253 with their dots.
    let labels: [[UInt8]]

    /// nil for what cannot be asked for: an empty or too long label or name.
    public init?(_ text: String) {
        var rest = Substring(text)
        if rest.hasSuffix(".") { rest.removeLast() }
        let labels = rest.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard rest.utf8.count <= 253, labels.allSatisfy({ (1...63).contains($0.count) }) else { return nil }
        self.labels = labels.map { $0.map(Self.lower) }
    }

    init(labels: [[UInt8]]) { self.labels = labels }

    public var description: String { labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".") }

    static func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}

/// Questions and answers of DNS (RFC 1035, section 4): only what looking up addresses needs. Pure.
public enum DNSMessage {
    public enum RecordType: UInt16, Sendable { case ipv4 = 1, ipv6 = 28 }

    /// What a server says to one question.
    public struct Answer: Sendable, Equatable {
        /// RCODE: 0 no error, 2 server failure, 3 no such name.
        public let code: Int
        /// It did not fit the datagram: ask again by TCP.
        public let isTruncated: Bool
        /// Raw addresses of 4 or 16 bytes, in the server's order.
        public let addresses: [[UInt8]]
    }

    /// What we take in one datagram (RFC 6891; the size that crosses the internet whole).
    static let datagramSize = 1232

    /// A recursive question, with an EDNS record unless the server does not know it.
    public static func question(_ name: DNSName, _ type: RecordType, id: UInt16, hasEDNS: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = []
        func put(_ values: UInt16...) {
            for value in values { bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }
        }
        put(id, 0x0100, 1, 0, 0, hasEDNS ? 1 : 0)
        for label in name.labels { bytes += [UInt8(label.count)] + label }
        bytes.append(0)
        put(type.rawValue, 1)
        guard hasEDNS else { return bytes }
        bytes.append(0)
        put(41, UInt16(datagramSize), 0, 0, 0)
        return bytes
    }

    /// The answer to that question; nil for anything else, be it malformed or an answer to another question.
    public static func answer(_ bytes: [UInt8], to name: DNSName, _ type: RecordType, id: UInt16) -> Answer? {
        var reader = DNSReader(bytes)
        guard reader.uint16() == id, let flags = reader.uint16(), flags & 0x8000 != 0, reader.uint16() == 1,
            let count = reader.uint16(), reader.skip(4), reader.name() == name,
            reader.uint16() == type.rawValue, reader.uint16() == 1
        else { return nil }
        var aliases: Set = [name]
        var addresses: [[UInt8]] = []
        let isTruncated = flags & 0x0200 != 0
        for _ in 0..<count {
            guard let owner = reader.name(), let kind = reader.uint16(), let group = reader.uint16(),
                reader.skip(4), let length = reader.uint16(), let end = reader.position(after: Int(length))
            else {
                // A cut answer is good for nothing but to say that it was cut.
                return isTruncated ? Answer(code: Int(flags & 15), isTruncated: true, addresses: []) : nil
            }
            if group == 1, aliases.contains(owner) {
                if kind == 5, let target = reader.name() {
                    aliases.insert(target)
                } else if kind == type.rawValue, Int(length) == (type == .ipv4 ? 4 : 16) {
                    addresses.append(reader.bytes(until: end))
                }
            }
            reader.move(to: end)
        }
        return Answer(code: Int(flags & 15), isTruncated: isTruncated, addresses: addresses)
    }
}

/// Reads a message within its bounds.
private struct DNSReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func uint16() -> UInt16? {
        guard position + 2 <= bytes.count else { return nil }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    mutating func skip(_ count: Int) -> Bool {
        guard position + count <= bytes.count else { return false }
        position += count
        return true
    }

    func position(after count: Int) -> Int? { position + count <= bytes.count ? position + count : nil }
    func bytes(until end: Int) -> [UInt8] { Array(bytes[position..<end]) }
    mutating func move(to end: Int) { position = end }

    /// Follows compression (section 4.1.4); a pointer must point backwards, so this ends.
    mutating func name() -> DNSName? {
        var labels: [[UInt8]] = []
        var length = 0
        var at = position
        var earliest = position
        var isElsewhere = false
        while at < bytes.count {
            let count = Int(bytes[at])
            switch count & 0xC0 {
            case 0 where count == 0:
                if !isElsewhere { position = at + 1 }
                return DNSName(labels: labels)
            case 0:
                guard at + 1 + count <= bytes.count else { return nil }
                labels.append(bytes[(at + 1)...(at + count)].map(DNSName.lower))
                length += count + 1
                guard length <= 254 else { return nil }
                at += count + 1
            case 0xC0:
                guard at + 1 < bytes.count else { return nil }
                let target = (count & 0x3F) << 8 | Int(bytes[at + 1])
                guard target < earliest else { return nil }
                if !isElsewhere { position = at + 2 }
                isElsewhere = true
                earliest = target
                at = target
            default: return nil
            }
        }
        return nil
    }
}
