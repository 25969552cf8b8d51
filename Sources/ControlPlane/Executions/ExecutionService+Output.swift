public import Base
import Database
public import Domain
import OpenSSL

// Bytes from workers. The fence is the attempt's place among the live ones; bytes of different attempts never share a file.
extension ExecutionService {
    public func openOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID) async throws -> Int64 {
        _ = try await owner(of: key, worker)
        return try await output.length(key, stream)
    }

    public func appendOutput(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws -> Int64 {
        try await touch(key, worker)
        let length = try await output.append(key, stream, at: offset, bytes)
        bells.ring(key.executionID, .grown)
        return length
    }

    public func appendTail(
        _ key: AttemptKey,
        _ stream: OutputStream,
        worker: WorkerID,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws {
        let owner = try await touch(key, worker)
        // The head is as long as the cap; a tail that is sent again finds itself there.
        let length = try await output.length(key, stream)
        _ = try await output.append(key, stream, at: min(length, owner.outputLimit), bytes)
        bells.ring(key.executionID, .grown)
    }

    /// A documented peer's chunk: behind what is there, up to the cap; past it bytes are counted and hashed only.
    public func appendOutput(_ key: AttemptKey, _ stream: OutputStream, worker: WorkerID, text: String) async throws {
        let owner = try await touch(key, worker)
        var tally = try await tally(key, stream, owner)
        let bytes = Array(text.utf8)
        let room = max(0, owner.outputLimit - tally.stored)
        // A gap, once made, stays: nothing is stored behind bytes that were not.
        let kept = tally.stored == tally.total ? bytes[..<Int(min(Int64(bytes.count), room))] : []
        if !kept.isEmpty { tally.stored = try await output.append(key, stream, at: tally.stored, kept) }
        tally.total += Int64(bytes.count)
        tally.hash.update(bytes)
        live.setTally(tally, key, stream)
        bells.ring(key.executionID, .grown)
    }

    /// Its owner; from now on something may be stored for it.
    @discardableResult
    private func touch(_ key: AttemptKey, _ worker: WorkerID) async throws -> LiveAttempts.Live {
        let owner = try await owner(of: key, worker)
        if owner.isUntouched { live.touch(key) }
        return owner
    }

    private func tally(_ key: AttemptKey, _ stream: OutputStream, _ owner: LiveAttempts.Live) async throws -> ChunkTally
    {
        if let tally = owner.tallies[stream] { return tally }
        // After a restart: what is stored is hashed again.
        let stored = try await output.length(key, stream)
        var tally = ChunkTally(total: 0, stored: stored, hash: SHA256())
        while tally.total < stored {
            let part = try await output.read(key, stream, from: tally.total, limit: 1 << 20)
            guard !part.isEmpty else { break }
            tally.hash.update(part)
            tally.total += Int64(part.count)
        }
        return tally
    }

    /// The marks that are recorded with the end; the row is their only place. A documented peer reports none: the server
    /// made them. One that promises more than was handed over is cut to what is there, so that it stays true.
    func withMarks(_ report: ExecutionReport, _ key: AttemptKey, _ owner: LiveAttempts.Live) async throws
        -> WrittenReport
    {
        var report = report
        report.stdout = try await mark(report.stdout, key, .stdout, owner)
        report.stderr = try await mark(report.stderr, key, .stderr, owner)
        var digests: [OutputStream: String] = [:]
        digests[.stdout] = try await storedDigest(report.stdout, key, .stdout)
        digests[.stderr] = try await storedDigest(report.stderr, key, .stderr)
        return try WrittenReport(report, storedDigests: digests)
    }

    /// Of a stream that was capped: its mark's digest is that of more than is stored.
    private func storedDigest(_ mark: OutputMark?, _ key: AttemptKey, _ stream: OutputStream) async throws -> String? {
        guard let mark, mark.isTruncated, let stored = mark.storedBytes, stored <= Self.hashedAtEnd else { return nil }
        return try await digest(key, stream, of: stored)
    }

    private func mark(
        _ reported: OutputMark?,
        _ key: AttemptKey,
        _ stream: OutputStream,
        _ owner: LiveAttempts.Live
    ) async throws -> OutputMark {
        if owner.isUntouched, reported == .empty { return .empty }
        let stored = try await output.length(key, stream)
        var mark: OutputMark
        if let reported {
            mark = reported
            if mark.storedBytes != stored {
                log.error(
                    "output differs from its mark",
                    ["attempt": key, "stream": stream.rawValue, "stored": stored, "head": mark.headBytes]
                )
                mark.totalBytes = max(mark.totalBytes, 0)
                mark.headBytes = min(stored, mark.totalBytes)
                mark.tailBytes = 0
            }
        } else {
            let tally = try await tally(key, stream, live[key] ?? owner)
            mark = OutputMark(
                totalBytes: tally.total,
                headBytes: tally.stored,
                tailBytes: 0,
                sha256: Hex.encode(tally.hash.digest)
            )
        }
        if !mark.isTruncated, mark.totalBytes <= Self.hashedAtEnd,
            try await digest(key, stream, of: mark.totalBytes) != mark.sha256
        {
            log.error("output does not have its digest", ["attempt": key, "stream": stream.rawValue])
        } else {
            sound.add(key, stream)
        }
        return mark
    }

    /// Longer streams would hold up the end for long.
    private static let hashedAtEnd: Int64 = 64 << 20

    /// Of the first `count` stored bytes, hexadecimal.
    func digest(_ key: AttemptKey, _ stream: OutputStream, of count: Int64) async throws -> String {
        var hash = SHA256()
        while hash.byteCount < count {
            let part = try await output.read(key, stream, from: hash.byteCount, limit: 256 << 10)
            guard !part.isEmpty else { break }
            hash.update(part)
        }
        return Hex.encode(hash.digest)
    }
}

extension OutputMark {
    /// Of a stream to which nothing was written.
    fileprivate static let empty = OutputMark(
        totalBytes: 0,
        headBytes: 0,
        tailBytes: 0,
        sha256: Hex.encode(SHA256.hash([]))
    )
}

// Reading.
extension ExecutionService {
    /// What is stored of an execution's streams, of the attempt that counts.
    public func outputs(_ execution: ExecutionRecord) async throws -> [OutputStatus] {
        let key = AttemptKey(execution.id, execution.attempt)
        let row = try await database.read { connection in
            try connection.first(ExecutionStore.streamMarks, key.executionID, key.attempt)
        }
        var statuses: [OutputStatus] = []
        for stream in OutputStream.allCases {
            let stored = try await output.length(key, stream)
            let mark = try row.flatMap { try ExecutionStore.mark(of: stream, $0) }
            statuses.append(OutputStatus(stream: stream, storedBytes: stored, mark: mark))
        }
        return statuses
    }

    /// Up to `limit` bytes from `offset` on. An offset past what is stored gives none. Throws `output_damaged` for a stream
    /// that has ended and is not what it was then.
    public func readOutput(_ key: AttemptKey, _ stream: OutputStream, from offset: Int64, limit: Int) async throws
        -> OutputSlice
    {
        guard offset >= 0 else {
            throw BerthError(.invalidValue, "\(offset) is negative", field: "offset", remedy: "offsets count from 0")
        }
        try await requireSound(key, stream)
        let bytes = try await output.read(key, stream, from: offset, limit: max(0, limit))
        // Fewer than were asked for: they are the last.
        let isLast = !bytes.isEmpty && bytes.count < limit
        let stored = isLast ? offset + Int64(bytes.count) : try await output.length(key, stream)
        return OutputSlice(offset: offset, bytes: bytes, storedBytes: stored)
    }
}
