import Base
import Domain
import Executions
import OutputStore

/// Output bytes in segment files. A capped stream's last bytes lie in a store of their own, behind eight bytes that say
/// where in the stream they begin.
struct SegmentOutput: OutputStoring {
    private let heads: SegmentStore
    private let tails: SegmentStore
    private static let tailHeader: Int64 = 8

    init(root: String) {
        heads = SegmentStore(root: root)
        tails = SegmentStore(root: root + "/tails")
    }

    func length(_ key: AttemptKey, _ stream: Domain.OutputStream) async throws -> Int64 {
        try heads.length(OutputKey(key, stream))
    }

    func append(_ key: AttemptKey, _ stream: Domain.OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>)
        async throws -> Int64
    {
        try heads.append(OutputKey(key, stream), at: offset, Array(bytes))
    }

    func appendTail(_ key: AttemptKey, _ stream: Domain.OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>)
        async throws
    {
        let place = OutputKey(key, stream)
        let start = try tailStart(place)
        if start == nil { try tails.append(place, at: 0, withUnsafeBytes(of: offset.bigEndian) { Array($0) }) }
        try tails.append(place, at: Self.tailHeader + offset - (start ?? offset), Array(bytes))
    }

    func read(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    {
        let place = OutputKey(key, stream)
        let length = try heads.length(place)
        if offset < length { return try heads.read(place, from: offset, upTo: limit) }
        guard let start = try tailStart(place), offset >= start else { return [] }
        let position = Self.tailHeader + offset - start
        guard position < (try tails.length(place)) else { return [] }
        return try tails.read(place, from: position, upTo: limit)
    }

    private func tailStart(_ place: OutputKey) throws -> Int64? {
        guard try tails.length(place) >= Self.tailHeader else { return nil }
        let header = try tails.read(place, from: 0, upTo: Int(Self.tailHeader))
        return Int64(bitPattern: header.reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension OutputKey {
    fileprivate init(_ key: AttemptKey, _ stream: Domain.OutputStream) {
        self.init(executionID: key.executionID, attempt: key.attempt, stream: stream)
    }
}
