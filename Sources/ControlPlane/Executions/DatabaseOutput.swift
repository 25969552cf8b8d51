import Base
public import Database
public import Domain
import Synchronization

/// Execution output as rows of the control-plane database, so that every server reads what any of them stored. What is
/// acknowledged is where the last chunk ends: bytes and offset cannot differ.
///
/// Appends that come while others are being committed share the next transaction.
public final class DatabaseOutput: OutputStoring {
    private let database: any SQLDatabase
    /// Lengths of streams that this server has appended to. Another server may have appended since: the chunk's key then
    /// refuses the next one, and the length is read anew.
    private let lengths = Mutex<[Place: Int64]>([:])
    private let queue = AppendQueue()
    private let lengthQuery = RowQuery(OutputChunkStore.length) { try $0.integer("end_offset") }

    struct Place: Hashable, Sendable {
        var key: AttemptKey
        var stream: OutputStream
    }

    private static let knownLengths = 4096

    public init(_ database: any SQLDatabase) { self.database = database }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { OutputChunkStore.statements }

    public func length(_ key: AttemptKey, _ stream: OutputStream) async throws -> Int64 {
        try await database.find(lengthQuery, key.executionID, key.attempt, stream.rawValue) ?? 0
    }

    public func read(_ key: AttemptKey, _ stream: OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    {
        guard offset >= 0, limit > 0 else { return [] }
        return try await database.read { connection in
            try OutputChunkStore.read(key, stream, from: offset, limit: limit, in: connection)
        }
    }

    public func place(_ key: AttemptKey, _ stream: OutputStream) -> String { "the database's table output_chunks" }

    public func append(_ key: AttemptKey, _ stream: OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>)
        async throws -> Int64
    {
        let append = PendingAppend(place: Place(key: key, stream: stream), offset: offset, bytes: bytes)
        switch await queue.join(append) {
        case .done(let result): return try result.get()
        case .lead: return try await lead(append)
        }
    }

    /// Writes this append and all that wait, then leaves the next group to one of those who have come meanwhile.
    private func lead(_ own: PendingAppend) async throws -> Int64 {
        let group = queue.take()
        defer { queue.passOn() }
        do {
            let results = try await write([own] + group.map(\.append))
            for (waiter, result) in zip(group, results.dropFirst()) { waiter.resume(.done(result)) }
            return try results[0].get()
        } catch is CancellationError {
            // Only this one's caller is gone; the others have not been written.
            queue.putBack(group)
            throw CancellationError()
        } catch {
            for waiter in group { waiter.resume(.done(.failure(error))) }
            throw error
        }
    }

    private func write(_ group: [PendingAppend]) async throws -> [Result<Int64, any Error>] {
        var known = lengths.withLock { $0 }.filter { place, _ in group.contains { $0.place == place } }
        for _ in 0..<8 {
            do {
                let lengths = known
                let written = try await database.write { connection in
                    try OutputChunkStore.append(group, known: lengths, in: connection)
                }
                remember(written.lengths)
                return written.results
            } catch let error as BerthError where error.code == .conflict {
                // Another server stored the same bytes first.
                known = [:]
                forget(group)
            } catch {
                forget(group)
                throw error
            }
        }
        throw BerthError(.stale, "the output is stored by another server at the same time", isRetryable: true)
    }

    private func remember(_ known: [Place: Int64]) {
        lengths.withLock { lengths in
            if lengths.count > Self.knownLengths { lengths.removeAll() }
            lengths.merge(known) { $1 }
        }
    }

    private func forget(_ group: [PendingAppend]) {
        lengths.withLock { lengths in
            for append in group { lengths[append.place] = nil }
        }
    }
}
