import Base
import Transport

/// Whole files by name: written once, read as often as needed. A name stands for a complete file.
protocol FileStoring: Sendable {
    /// Takes a body in and keeps it under `name`; replaces what was there. Nothing is left of one that fails.
    /// - Parameters:
    ///   - unique: no other call has it.
    ///   - expected: refuses any other digest.
    func receive(_ body: IncomingBody, as name: String, unique: String, expecting expected: String?) async throws
        -> FileStore.Received
    /// The file, or the part that is asked for, as an answer; nil where there is no such file.
    /// - Parameter sha256: of its bytes, which then names them to caches and to clients that fetch the rest of a file.
    func response(_ name: String, sha256: String?) async throws -> HTTPResponse?
    /// The file, open for reading; nil where there is no such file.
    func read(_ name: String) async throws -> LocalFile?
    func remove(_ name: String) async throws
    /// Removes what killed servers left. Returns the names of complete files of this machine.
    func sweep(at now: Timestamp) async throws -> [String]
    /// From time to time: removes what can be had again.
    func tidy(at now: Timestamp)
}

extension FileStore: FileStoring {
    func sweep(at now: Timestamp) async throws -> [String] { sweepParts() }
    func tidy(at now: Timestamp) {}
    func read(_ name: String) async throws -> LocalFile? { try LocalFile(path: path(name)) }
}
