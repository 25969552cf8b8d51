/// Header fields in the order of the wire, packed into one buffer. Names compare without case. What would break the
/// message apart (CR, LF, NUL and other control bytes) becomes a space, as RFC 9110, section 5.5, allows.
public struct HTTPHeaders: Sendable {
    struct Field {
        var nameStart: UInt32
        var nameLength: UInt32
        var valueStart: UInt32
        var valueLength: UInt32
    }

    var bytes: [UInt8] = []
    var fields: [Field] = []

    public init() {}

    /// Empty, with room.
    init(fields: Int, bytes: Int) {
        self.fields.reserveCapacity(fields)
        self.bytes.reserveCapacity(bytes)
    }

    public init(_ pairs: [(String, String)]) {
        for (name, value) in pairs { add(name, value) }
    }

    public var count: Int { fields.count }
    public var isEmpty: Bool { fields.isEmpty }

    public mutating func add(_ name: String, _ value: String) {
        let nameStart = UInt32(bytes.count)
        append(name, replacingWith: UInt8(ascii: "-")) { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
        let valueStart = UInt32(bytes.count)
        append(value, replacingWith: UInt8(ascii: " ")) { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
        fields.append(
            Field(
                nameStart: nameStart,
                nameLength: valueStart - nameStart,
                valueStart: valueStart,
                valueLength: UInt32(bytes.count) - valueStart
            )
        )
    }

    @inline(__always)
    private mutating func append(_ text: String, replacingWith other: UInt8, _ isAllowed: (UInt8) -> Bool) {
        var text = text
        text.withUTF8 { text in
            let start = bytes.count
            bytes.append(contentsOf: text)
            guard !text.allSatisfy(isAllowed) else { return }
            for index in start..<bytes.count where !isAllowed(bytes[index]) { bytes[index] = other }
        }
    }

    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    public mutating func remove(_ name: String) {
        if contains(name) { fields = fields.filter { !matches($0, name) } }
    }

    /// The first value of `name`.
    public subscript(name: String) -> String? {
        for field in fields where matches(field, name) { return text(field.valueStart, field.valueLength) }
        return nil
    }

    public func values(_ name: String) -> [String] {
        fields.filter { matches($0, name) }.map { text($0.valueStart, $0.valueLength) }
    }

    public func contains(_ name: String) -> Bool { fields.contains { matches($0, name) } }

    /// The comma-separated members of all values of `name`, in lower case.
    public func tokens(_ name: String) -> [String] {
        values(name).flatMap { value in
            value.split(separator: ",").map { member in
                var member = member
                while member.first == " " || member.first == "\t" { member.removeFirst() }
                while member.last == " " || member.last == "\t" { member.removeLast() }
                return member.lowercased()
            }
        }
    }

    func text(_ start: UInt32, _ length: UInt32) -> String {
        String(decoding: bytes[Int(start)..<Int(start + length)], as: UTF8.self)
    }

    func matches(_ field: Field, _ name: String) -> Bool {
        guard Int(field.nameLength) == name.utf8.count else { return false }
        var name = name
        return name.withUTF8 { name in
            bytes.withUnsafeBufferPointer { bytes in
                let start = Int(field.nameStart)
                return name.indices.allSatisfy { Self.lower(bytes[start + $0]) == Self.lower(name[$0]) }
            }
        }
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}

extension HTTPHeaders: Sequence {
    public struct Iterator: IteratorProtocol {
        let headers: HTTPHeaders
        var index = 0

        public mutating func next() -> (name: String, value: String)? {
            guard index < headers.fields.count else { return nil }
            let field = headers.fields[index]
            index += 1
            return (
                headers.text(field.nameStart, field.nameLength), headers.text(field.valueStart, field.valueLength)
            )
        }
    }

    public func makeIterator() -> Iterator { Iterator(headers: self) }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }
}
