public import Base
public import OutputStore

/// The kept bytes of a terminal in the order and at the times that they came; in pieces. Pure but for the reading.
public struct RecordingReader {
    private static let pieceBytes = 64 << 10

    private var cast: Asciicast
    private var entries: ArraySlice<TimeIndex.Entry>
    private let read: (_ offset: Int64, _ count: Int) throws -> (offset: Int64, bytes: [UInt8])
    private var offset: Int64
    private let endOffset: Int64
    private var moment: Timestamp
    private var waiting: [UInt8]
    private var isOver = false

    /// - Parameters:
    ///   - kept: the bytes that there are.
    ///   - size: where the times do not tell of one.
    public init(
        title: String,
        command: String,
        size: (columns: UInt16, rows: UInt16),
        startedAt: Timestamp,
        kept: Range<Int64>,
        entries: [TimeIndex.Entry],
        read: @escaping (_ offset: Int64, _ count: Int) throws -> (offset: Int64, bytes: [UInt8])
    ) {
        self.read = read
        // What the kept bytes begin with: the last size before them, and when the bytes before them had come.
        var first = size
        var begin = startedAt
        var rest = entries[...]
        passed: while let entry = rest.first {
            switch entry {
            case .size(let from, let columns, let rows) where from <= kept.lowerBound: first = (columns, rows)
            case .bytes(let end, let at) where end <= kept.lowerBound: begin = at
            default: break passed
            }
            rest = rest.dropFirst()
        }
        self.entries = rest
        cast = Asciicast(startedAt: begin)
        moment = begin
        offset = kept.lowerBound
        endOffset = kept.upperBound
        waiting = Asciicast.header(
            columns: first.columns,
            rows: first.rows,
            startedAt: begin,
            title: title,
            command: command
        )
        if kept.lowerBound > 0 {
            waiting += cast.mark("bytes 0 to \(kept.lowerBound) are kept no longer", at: begin)
        }
    }

    /// The next lines; nil at the end.
    public mutating func next() throws -> [UInt8]? {
        while !isOver, waiting.isEmpty {
            guard offset < endOffset else {
                isOver = true
                waiting = cast.end(at: moment)
                break
            }
            switch entries.first {
            case .size(let from, let columns, let rows) where from <= offset:
                waiting = cast.size(columns: columns, rows: rows, at: moment)
                entries = entries.dropFirst()
            case .size(let from, _, _): waiting = try piece(until: min(from, endOffset))
            case .bytes(let end, let at):
                moment = max(moment, at)
                waiting = try piece(until: min(end, endOffset))
                if offset >= end { entries = entries.dropFirst() }
            // Came after the last record was written.
            case nil: waiting = try piece(until: endOffset)
            }
        }
        defer { waiting = [] }
        return waiting.isEmpty ? nil : waiting
    }

    private mutating func piece(until end: Int64) throws -> [UInt8] {
        guard end > offset else { return [] }
        let (start, bytes) = try read(offset, Int(min(Int64(Self.pieceBytes), end - offset)))
        // Dropped while this was read: what is left is told from there.
        offset = bytes.isEmpty ? endOffset : start + Int64(bytes.count)
        return cast.output(bytes, at: moment)
    }
}
