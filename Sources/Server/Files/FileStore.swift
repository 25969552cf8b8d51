import Base
import FoundationEssentials
import Glibc
import OpenSSL
import Transport

/// Whole files by name in one directory: written once, read as often as needed. A name stands for a complete file.
struct FileStore: Sendable {
    let directory: String
    /// Bytes of one file at most.
    let limit: Int64
    /// What lay there before the first request of this process: only that can have been left behind.
    private let found: [String]

    init(directory: String, limit: Int64) throws(BerthError) {
        self.directory = directory
        self.limit = limit
        try DataDirectory.makeDirectory(directory)
        found = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    }

    struct Received: Sendable {
        var bytes: Int64
        /// Hexadecimal.
        var sha256: String
    }

    /// Takes a body in, in pieces, and keeps it under `name`; replaces what was there. Nothing is left of one that fails.
    /// - Parameter expected: refuses any other digest.
    func receive(_ body: IncomingBody, as name: String, unique: String, expecting expected: String?) async throws
        -> Received
    {
        let part = "\(directory)/\(name).\(unique).part"
        let file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure() }
        var isKept = false
        defer {
            close(file)
            if !isKept { unlink(part) }
        }
        var digest = SHA256()
        while let chunk = try await body.next() {
            guard digest.byteCount + Int64(chunk.count) <= limit else {
                throw BerthError(
                    .tooLarge,
                    "the file is longer than \(limit) bytes",
                    remedy: "raise maxUploadBytes in the server's configuration"
                )
            }
            digest.update(chunk)
            try Self.write(chunk, to: file)
        }
        let received = Received(bytes: digest.byteCount, sha256: Hex.encode(digest.digest))
        if let expected, expected != received.sha256 {
            throw BerthError(.invalidValue, "the bytes are not those that were announced", field: "sha256")
        }
        guard fdatasync(file) == 0, Glibc.rename(part, "\(directory)/\(name)") == 0 else { throw Self.failure() }
        isKept = true
        return received
    }

    /// The file, or the part that is asked for, as an answer; nil where there is no such file.
    /// - Parameter sha256: of its bytes, which then names them to caches and to clients that fetch the rest of a file.
    func response(_ name: String, sha256: String?) throws(BerthError) -> HTTPResponse? {
        guard let file = try OpenFile(path: "\(directory)/\(name)") else { return nil }
        var headers: HTTPHeaders = ["content-type": "application/octet-stream"]
        if let sha256 { headers.add("etag", "\"\(sha256)\"") }
        return HTTPResponse(headers: headers, body: .file(file))
    }

    func remove(_ name: String) { unlink(path(name)) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func rename(_ name: String, to other: String) throws(BerthError) {
        guard Glibc.rename(path(name), path(other)) == 0 else { throw Self.failure() }
    }

    /// Makes a file of pieces, in order; a name stands for all `bytes` of it.
    func write(_ name: String, unique: String, bytes: Int64, from next: (_ offset: Int64) async throws -> [UInt8])
        async throws
    {
        let part = "\(directory)/\(name).\(unique).part"
        let file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure() }
        var isKept = false
        defer {
            close(file)
            if !isKept { unlink(part) }
        }
        var offset: Int64 = 0
        while offset < bytes {
            let piece = try await next(offset)
            try Self.write(piece, to: file)
            offset += Int64(piece.count)
        }
        guard Glibc.rename(part, path(name)) == 0 else { throw Self.failure() }
        isKept = true
    }

    /// Names of complete files of earlier processes; what one that was killed left half-written is removed.
    func sweepParts() -> [String] {
        for name in found where name.hasSuffix(".part") { remove(name) }
        return found.filter { !$0.hasSuffix(".part") }.sorted()
    }

    func names() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] }

    private static func failure() -> BerthError {
        let isFull = errno == ENOSPC || errno == EDQUOT
        return BerthError(
            isFull ? .diskFull : .internal,
            isFull ? "the server's disk has no room for the file" : "a file of the server cannot be used",
            remedy: isFull ? "free space on the server's disk and repeat the command; nothing is lost" : nil,
            detail: "errno \(errno)"
        )
    }

    private static func write(_ bytes: [UInt8], to file: CInt) throws(BerthError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            sent += count
        }
    }
}
