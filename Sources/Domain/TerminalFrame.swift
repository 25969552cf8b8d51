public import Base

/// What a terminal and one of its viewers say to each other over a channel. Layout, numbers big-endian:
///
///     0      kind
///     1–4    bytes that follow
///     5–…    the kind's own
///
/// Terminal to viewer: 1 data (8 bytes offset, then the bytes), 2 size (2 bytes columns, 2 bytes rows), 3 end (JSON of
/// ``TerminalExit``), 4 gap (8 bytes from, 8 bytes to). Viewer to terminal: 16 input (the bytes), 17 size.
public enum TerminalFrame: Sendable, Equatable {
    /// Output from `offset` on, counted from the terminal's first byte.
    case data(offset: Int64, bytes: ArraySlice<UInt8>)
    /// To viewers: the size in force. From a viewer: the size that it has.
    case size(TerminalSize)
    /// The program has ended and all its output was sent.
    case end(TerminalExit)
    /// The bytes of this range are kept no longer.
    case gap(Range<Int64>)
    case input(ArraySlice<UInt8>)

    public static let headerLength = 5
    /// The longest payload of one frame.
    public static let maximumPayload = 64 << 10

    private enum Kind: UInt8 {
        case data = 1
        case size = 2
        case end = 3
        case gap = 4
        case input = 16
        case viewerSize = 17
    }

    /// - Parameter isViewer: who sends it.
    public func encoded(byViewer isViewer: Bool = false) -> [UInt8] {
        switch self {
        case .data(let offset, let bytes): Self.frame(.data, Self.number(offset), bytes)
        case .size(let size):
            Self.frame(isViewer ? .viewerSize : .size, Self.number(size.columns) + Self.number(size.rows), [])
        case .end(let exit): Self.frame(.end, (try? JSONText.encode(exit)) ?? [], [])
        case .gap(let range): Self.frame(.gap, Self.number(range.lowerBound) + Self.number(range.upperBound), [])
        case .input(let bytes): Self.frame(.input, [], bytes)
        }
    }

    private init(kind: UInt8, payload: ArraySlice<UInt8>) throws(BerthError) {
        func number(at position: Int) -> Int64 {
            Int64(
                bitPattern: payload.dropFirst(position).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
            )
        }
        switch Kind(rawValue: kind) {
        case .data where payload.count >= 8 && number(at: 0) >= 0:
            self = .data(offset: number(at: 0), bytes: payload.dropFirst(8))
        case .size where payload.count == 4, .viewerSize where payload.count == 4:
            let sizes = payload.map { UInt16($0) }
            self = .size(TerminalSize(columns: sizes[0] << 8 | sizes[1], rows: sizes[2] << 8 | sizes[3]))
        case .end:
            do {
                self = .end(try JSONText.decode(TerminalExit.self, from: Array(payload)))
            } catch {
                throw BerthError(.protocolViolation, "the end of a terminal is not what it should be")
            }
        case .gap where payload.count == 16 && number(at: 0) >= 0 && number(at: 0) <= number(at: 8):
            self = .gap(number(at: 0)..<number(at: 8))
        case .input: self = .input(payload)
        default: throw BerthError(.protocolViolation, "a terminal's frame of kind \(kind) is not one")
        }
    }

    private static func number<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    private static func frame(_ kind: Kind, _ head: [UInt8], _ body: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        let count = head.count + body.count
        bytes.reserveCapacity(headerLength + count)
        bytes.append(kind.rawValue)
        bytes += number(UInt32(count))
        bytes += head
        bytes += body
        return bytes
    }

    /// Takes frames out of a stream of bytes, however it is cut.
    public struct Parser: Sendable {
        private var buffer: [UInt8] = []

        public init() {}

        public mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

        /// nil until a frame is whole.
        public mutating func next() throws(BerthError) -> TerminalFrame? {
            guard buffer.count >= headerLength else { return nil }
            let count = Int(buffer[1..<5].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            guard count <= maximumPayload + 16 else {
                throw BerthError(.protocolViolation, "a terminal's frame of \(count) bytes is too long")
            }
            guard buffer.count >= headerLength + count else { return nil }
            let frame = try TerminalFrame(kind: buffer[0], payload: buffer[headerLength..<headerLength + count])
            buffer.removeFirst(headerLength + count)
            return frame
        }
    }
}

/// In characters.
public struct TerminalSize: Sendable, Equatable, Codable {
    public var columns: UInt16
    public var rows: UInt16

    public init(columns: UInt16, rows: UInt16) {
        self.columns = columns
        self.rows = rows
    }

    /// What programs expect where nobody says more.
    public static let standard = TerminalSize(columns: 80, rows: 24)

    public var isUsable: Bool { (1...1000).contains(columns) && (1...1000).contains(rows) }
}

/// How a terminal's program ended: one of the three.
public struct TerminalExit: Sendable, Equatable, Codable {
    public var exitCode: Int32?
    public var signal: Int32?
    /// The environment ended under it, or nobody saw its end.
    public var isLost: Bool?

    public init(exitCode: Int32? = nil, signal: Int32? = nil, isLost: Bool? = nil) {
        self.exitCode = exitCode
        self.signal = signal
        self.isLost = isLost
    }
}
