/// Where requests begin and end, by the grammar of RFC 9112 alone and without any code of the server: what the server
/// accepts must be the same messages. It knows nothing of the server's own limits and refusals.
struct ReferenceHTTP {
    struct Message {
        var method: [UInt8] = []
        var target: [UInt8] = []
        var minorVersion = 1
        var fields: [(name: [UInt8], value: [UInt8])] = []
        var body: [UInt8] = []
        /// False where the bytes end before the message does.
        var isComplete = false
    }

    private struct Malformed: Error {}
    private struct Ended: Error {}

    private let bytes: [UInt8]
    private var position = 0

    /// Messages up to the first that is malformed.
    static func messages(_ bytes: [UInt8]) -> [Message] {
        var reader = Self(bytes: bytes)
        var messages: [Message] = []
        while let message = reader.next() {
            messages.append(message)
            if !message.isComplete { break }
        }
        return messages
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func next() -> Message? {
        // Section 2.2: empty lines before a request are passed over.
        while position < bytes.count, bytes[position] == 0x0D || bytes[position] == 0x0A { position += 1 }
        var message = Message()
        do {
            message.method = try token(endingWith: 0x20)
            // Section 3 lets a recipient part these words at any white space; that moves no boundary.
            skipSpaces()
            message.target = try span(endingWith: 0x20) { $0 > 0x20 && $0 != 0x7F }
            skipSpaces()
            let version = try line()
            guard version.starts(with: "HTTP/1.".utf8), version.count == 8, let minor = version.last,
                minor == 0x30 || minor == 0x31
            else { return nil }
            message.minorVersion = Int(minor - 0x30)
            message.fields = try fields()
            try readBody(of: &message)
            message.isComplete = true
            return message
        } catch is Ended {
            return message.fields.isEmpty ? nil : message
        } catch {
            return nil
        }
    }

    // MARK: The head

    private mutating func fields() throws -> [(name: [UInt8], value: [UInt8])] {
        var fields: [(name: [UInt8], value: [UInt8])] = []
        while true {
            var line = try line()[...]
            if line.isEmpty { return fields }
            let name = line.prefix { $0 != 0x3A }
            line = line.dropFirst(name.count)
            guard !name.isEmpty, name.allSatisfy(Self.isTokenByte), line.popFirst() != nil else { throw Malformed() }
            while line.first == 0x20 || line.first == 0x09 { line.removeFirst() }
            while line.last == 0x20 || line.last == 0x09 { line.removeLast() }
            guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else { throw Malformed() }
            fields.append((Array(name), Array(line)))
        }
    }

    // MARK: The body (section 6.3)

    private mutating func readBody(of message: inout Message) throws {
        func values(_ name: String) -> [[UInt8]] {
            message.fields.filter { Self.lower($0.name) == Array(name.utf8) }.map(\.value)
        }
        let (codings, lengths) = (values("transfer-encoding"), values("content-length"))
        if !codings.isEmpty {
            guard lengths.isEmpty, codings.count == 1, Self.lower(codings[0]) == Array("chunked".utf8) else {
                throw Malformed()
            }
            return try readChunks(into: &message)
        }
        guard let length = lengths.first else { return }
        guard lengths.count == 1, !length.isEmpty, length.allSatisfy({ (0x30...0x39) ~= $0 }),
            let count = Int(String(decoding: length, as: UTF8.self))
        else { throw Malformed() }
        message.body = try take(count)
    }

    private mutating func readChunks(into message: inout Message) throws {
        while true {
            let line = try line()
            let digits = line.prefix(while: Self.isHexDigit)
            guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
                [nil, 0x3B, 0x20, 0x09].contains(line.dropFirst(digits.count).first)
            else { throw Malformed() }
            if size == 0 { break }
            message.body += try take(size)
            guard try self.line().isEmpty else { throw Malformed() }
        }
        _ = try fields()
    }

    // MARK: Bytes

    private mutating func take(_ count: Int) throws -> [UInt8] {
        guard count <= bytes.count - position else { throw Ended() }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// Without its CR LF; a CR or LF alone ends nothing.
    private mutating func line() throws -> [UInt8] {
        guard let end = bytes[position...].firstIndex(where: { $0 == 0x0D || $0 == 0x0A }) else { throw Ended() }
        guard bytes[end] == 0x0D else { throw Malformed() }
        guard end + 1 < bytes.count else { throw Ended() }
        guard bytes[end + 1] == 0x0A else { throw Malformed() }
        defer { position = end + 2 }
        return Array(bytes[position..<end])
    }

    private mutating func skipSpaces() {
        while position < bytes.count, bytes[position] == 0x20 { position += 1 }
    }

    private mutating func token(endingWith end: UInt8) throws -> [UInt8] {
        try span(endingWith: end, Self.isTokenByte)
    }

    private mutating func span(endingWith end: UInt8, _ isAllowed: (UInt8) -> Bool) throws -> [UInt8] {
        let span = bytes[position...].prefix(while: isAllowed)
        position += span.count
        guard position < bytes.count else { throw Ended() }
        guard !span.isEmpty, bytes[position] == end else { throw Malformed() }
        position += 1
        return Array(span)
    }

    static func lower(_ bytes: [UInt8]) -> [UInt8] { bytes.map { (0x41...0x5A) ~= $0 ? $0 | 0x20 : $0 } }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39) ~= byte || (0x41...0x46) ~= byte || (0x61...0x66) ~= byte
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        (0x30...0x39) ~= byte || (0x41...0x5A) ~= byte || (0x61...0x7A) ~= byte || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
