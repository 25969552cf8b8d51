import Base
import Database
import Domain
import OutputStore

/// The rows of `output_chunks`.
enum OutputChunkStore {
    static let length: SQL = """
        SELECT end_offset FROM output_chunks WHERE execution_id = $1 AND attempt = $2 AND stream = $3
        ORDER BY start_offset DESC LIMIT 1
        """
    static let insert: SQL = """
        INSERT INTO output_chunks (execution_id, attempt, stream, start_offset, end_offset, bytes)
        VALUES ($1, $2, $3, $4, $5, $6)
        """
    /// From the chunk that holds the first byte on.
    static let chunks: SQL = """
        SELECT start_offset, bytes FROM output_chunks
        WHERE execution_id = $1 AND attempt = $2 AND stream = $3 AND start_offset < $5
            AND start_offset >= COALESCE((SELECT MAX(start_offset) FROM output_chunks
                WHERE execution_id = $1 AND attempt = $2 AND stream = $3 AND start_offset <= $4), 0)
        ORDER BY start_offset
        """

    static let statements = [length, insert, chunks]

    /// The length of each stream afterwards, and what became of each append.
    struct Written: Sendable {
        var lengths: [DatabaseOutput.Place: Int64]
        var results: [Result<Int64, any Error>]
    }

    /// Throws `conflict` where `known` was wrong.
    static func append(
        _ group: [PendingAppend],
        known: [DatabaseOutput.Place: Int64],
        in connection: any SQLConnection
    ) throws -> Written {
        var written = Written(lengths: known, results: [])
        for append in group {
            let place = append.place
            let length = try written.lengths[place] ?? length(place, in: connection)
            written.lengths[place] = length
            guard append.offset >= 0, append.offset <= length else {
                written.results.append(.failure(gap(append.offset, length)))
                continue
            }
            let fresh = append.bytes.dropFirst(Int(min(length - append.offset, Int64(append.bytes.count))))
            if !fresh.isEmpty {
                try connection.post(
                    insert,
                    place.key.executionID,
                    place.key.attempt,
                    place.stream.rawValue,
                    length,
                    length + Int64(fresh.count),
                    Array(fresh)
                )
                written.lengths[place] = length + Int64(fresh.count)
            }
            written.results.append(.success(length + Int64(fresh.count)))
        }
        return written
    }

    private static func length(_ place: DatabaseOutput.Place, in connection: any SQLConnection) throws -> Int64 {
        try connection.first(length, place.key.executionID, place.key.attempt, place.stream.rawValue)?
            .integer("end_offset") ?? 0
    }

    private static func gap(_ offset: Int64, _ length: Int64) -> BerthError {
        BerthError(
            .outputGap,
            "bytes from \(offset) on were offered but only \(length) are stored",
            remedy: "send again from \(length)"
        )
    }

    static func read(
        _ key: AttemptKey,
        _ stream: Domain.OutputStream,
        from offset: Int64,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [UInt8] {
        let (end, overflow) = offset.addingReportingOverflow(Int64(limit))
        var found: [UInt8] = []
        let values: [SQLValue] = [
            key.executionID.sqlValue, key.attempt.sqlValue, .text(stream.rawValue), .integer(offset),
            .integer(overflow ? .max : end),
        ]
        try connection.forEach(chunks, values) { row in
            let start = try row.integer("start_offset")
            let bytes = try row.blob("bytes")
            let from = offset + Int64(found.count)
            // Behind a hole, which no accepted append makes.
            guard start <= from, start + Int64(bytes.count) > from else { return start <= from }
            found += bytes.dropFirst(Int(from - start)).prefix(limit - found.count)
            return found.count < limit
        }
        return found
    }
}
