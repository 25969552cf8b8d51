/// Server-sent events (WHATWG HTML, section 9.2), encoded once for any number of clients, who share its memory.
public struct EventBlock: Sendable {
    /// Room for the size line of an HTTP chunk, the events, CR LF.
    private let bytes: [UInt8]
    private let chunkStart: Int

    /// `bytes` begins with `EventEncoder.reserved` bytes of room.
    init(_ bytes: consuming [UInt8]) {
        var count = bytes.count - EventEncoder.reserved
        var start = EventEncoder.reserved - 2
        bytes[start] = 0x0D
        bytes[start + 1] = 0x0A
        repeat {
            start -= 1
            bytes[start] = Self.digits[count & 15]
            count >>= 4
        } while count > 0
        bytes.append(contentsOf: [0x0D, 0x0A])
        self.bytes = bytes
        chunkStart = start
    }

    private static let digits = Array("0123456789abcdef".utf8)

    public var isEmpty: Bool { bytes.count == EventEncoder.reserved + 2 }

    /// The events' own bytes, without framing.
    public var events: ArraySlice<UInt8> { bytes[EventEncoder.reserved..<bytes.count - 2] }

    /// The events as one chunk (RFC 9112, section 7.1).
    func withChunk<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[chunkStart...])) }
    }

    func withEvents<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[EventEncoder.reserved..<bytes.count - 2])) }
    }
}

/// Encodes events one behind the other into one block.
public struct EventEncoder: Sendable {
    /// Room in front for a chunk's size: sixteen digits and CR LF.
    static let reserved = 18

    private var bytes = [UInt8](repeating: 0, count: Self.reserved)

    public init() {}

    /// Bytes of the events so far.
    public var count: Int { bytes.count - Self.reserved }
    public var isEmpty: Bool { count == 0 }

    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    /// `event` and `id` are cut to one line; `data` may be several.
    public mutating func append(event: String? = nil, id: String? = nil, data: some Collection<UInt8>) {
        begin(event: event, id: id)
        var rest = data[...]
        while true {
            // CR LF, LF and CR all end a line of the stream, so all of them start a new field.
            bytes.append(contentsOf: "data: ".utf8)
            let end = rest.firstIndex(where: Self.endsLine)
            bytes.append(contentsOf: rest[..<(end ?? rest.endIndex)])
            bytes.append(0x0A)
            guard let end else { break }
            let isCR = rest[end] == 0x0D
            rest = rest[rest.index(after: end)...]
            if isCR, rest.first == 0x0A { rest = rest.dropFirst() }
        }
        bytes.append(0x0A)
    }

    /// As above with one line of data, which `write` appends: without CR and LF.
    public mutating func append(event: String, id: String, line write: (inout [UInt8]) -> Void) {
        begin(event: event, id: id)
        bytes.append(contentsOf: "data: ".utf8)
        let start = bytes.count
        write(&bytes)
        assert(!bytes[start...].contains(where: Self.endsLine), "the data of an event is more than a line")
        bytes.append(contentsOf: [0x0A, 0x0A])
    }

    public consuming func finish() -> EventBlock { EventBlock(bytes) }

    private mutating func begin(event: String?, id: String?) {
        if let event {
            bytes.append(contentsOf: "event: ".utf8)
            bytes.append(contentsOf: event.utf8.lazy.filter { !Self.endsLine($0) })
            bytes.append(0x0A)
        }
        if let id {
            bytes.append(contentsOf: "id: ".utf8)
            // A client ignores an id with a NUL (section 9.2.6).
            bytes.append(contentsOf: id.utf8.lazy.filter { !Self.endsLine($0) && $0 != 0 })
            bytes.append(0x0A)
        }
    }

    private static func endsLine(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
}
