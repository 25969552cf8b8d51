import Base
import FoundationEssentials
import Glibc
import Transport
import Uploads

/// Files that the servers of one database share: the database has them, this machine keeps copies of those that it took
/// in or was asked for.
struct SharedFileCopies: FileStoring {
    /// Which files of the database these are.
    let area: String
    let copies: FileStore
    let shared: SharedFileService
    let ids: IDSource

    func receive(_ body: IncomingBody, as name: String, unique: String, expecting expected: String?) async throws
        -> FileStore.Received
    {
        let draft = "\(name).\(unique)"
        let received = try await copies.receive(body, as: draft, unique: "new", expecting: expected)
        defer { copies.remove(draft) }
        guard let file = try LocalFile(path: copies.path(draft)) else {
            throw BerthError(.internal, "a file of the server is gone", detail: draft)
        }
        let partsID = ids.make(RequestKind.self).text
        try await shared.keep(name, in: area, partsID: partsID, sha256: received.sha256) { offset, count in
            try file.read(at: offset, count: count)
        }
        try copies.rename(draft, to: Self.copy(name, received.sha256))
        return received
    }

    func response(_ name: String, sha256: String?) async throws -> HTTPResponse? {
        guard let file = try await shared.find(name, in: area) else { return nil }
        let copy = Self.copy(name, file.sha256)
        if let response = try copies.response(copy, sha256: sha256) { return response }
        try await copies.write(copy, unique: ids.make(RequestKind.self).text, bytes: file.bytes) { offset in
            try await shared.part(of: file, at: offset)
        }
        return try copies.response(copy, sha256: sha256)
    }

    func read(_ name: String) async throws -> LocalFile? {
        guard try await response(name, sha256: nil) != nil, let file = try await shared.find(name, in: area) else {
            return nil
        }
        return try LocalFile(path: copies.path(Self.copy(name, file.sha256)))
    }

    func remove(_ name: String) async throws {
        let file = try await shared.find(name, in: area)
        try await shared.remove(name, in: area)
        if let file { copies.remove(Self.copy(name, file.sha256)) }
    }

    /// Requests are taken already: what is new may be theirs.
    func sweep(at now: Timestamp) async throws -> [String] {
        tidy(at: now)
        try await shared.sweep()
        return []
    }

    /// Also those of files that another server has removed.
    func tidy(at now: Timestamp) {
        for name in copies.names() {
            var status = stat()
            guard stat(copies.path(name), &status) == 0 else { continue }
            if Int64(status.st_mtim.tv_sec) < (now.milliseconds / 1000) - Self.copyLifetime { copies.remove(name) }
        }
    }

    /// Seconds.
    private static let copyLifetime: Int64 = 3600

    private static func copy(_ name: String, _ sha256: String) -> String { "\(name).\(sha256.prefix(16))" }
}
