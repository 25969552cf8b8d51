public import Base
public import Database

/// A whole file in the database.
public struct SharedFile: Sendable, Equatable {
    public var bytes: Int64
    /// Hexadecimal.
    public var sha256: String
    var partsID: String
}

/// Files as rows, for the servers of one database: written in parts, seen once whole.
public struct SharedFileService: Sendable {
    /// Bytes of a part, but for the last.
    public static let partBytes = 1 << 20
    /// What no file has taken by then was left by a server that died.
    private static let abandonedAfter = Duration.seconds(24 * 3600)
    private let database: any SQLDatabase
    private let time: any TimeSource

    public init(database: any SQLDatabase, time: any TimeSource) {
        self.database = database
        self.time = time
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { SharedFileStore.statements }

    /// Keeps the file under `name`; replaces what was there.
    /// - Parameters:
    ///   - partsID: of this file alone.
    ///   - read: up to `count` bytes at an offset; none at the end.
    public func keep(
        _ name: String,
        in area: String,
        partsID: String,
        sha256: String,
        reading read: (_ offset: Int64, _ count: Int) throws -> [UInt8]
    ) async throws {
        var offset: Int64 = 0
        while case let part = try read(offset, Self.partBytes), !part.isEmpty {
            let (start, now) = (offset, time.now)
            try await database.write { try $0.run(SharedFileStore.insertPart, partsID, start, now, part) }
            offset += Int64(part.count)
        }
        let (bytes, now) = (offset, time.now)
        try await database.write { connection in
            let earlier = try connection.first(SharedFileStore.find, area, name).map { try $0.text("parts_id") }
            try connection.run(SharedFileStore.put, area, name, partsID, bytes, sha256, now)
            if let earlier { try connection.run(SharedFileStore.removeParts, earlier) }
        }
    }

    /// nil: there is no such file.
    public func find(_ name: String, in area: String) async throws -> SharedFile? {
        try await database.read { connection in
            try connection.first(SharedFileStore.find, area, name).map { row in
                SharedFile(
                    bytes: try row.integer("byte_count"),
                    sha256: try row.text("sha256"),
                    partsID: try row.text("parts_id")
                )
            }
        }
    }

    /// The part that begins at `offset`. Throws `not_found` when the file was removed meanwhile.
    public func part(of file: SharedFile, at offset: Int64) async throws -> [UInt8] {
        let part = try await database.read { connection in
            try connection.first(SharedFileStore.part, file.partsID, offset).map { try $0.blob("bytes") }
        }
        guard let part, !part.isEmpty else { throw BerthError(.notFound, "the file was removed") }
        return part
    }

    public func remove(_ name: String, in area: String) async throws {
        try await database.write { connection in
            guard let row = try connection.first(SharedFileStore.find, area, name) else { return }
            try connection.run(SharedFileStore.remove, area, name)
            try connection.run(SharedFileStore.removeParts, try row.text("parts_id"))
        }
    }

    /// Removes the parts that servers left which died while they wrote.
    public func sweep() async throws {
        let before = Timestamp(milliseconds: time.now.milliseconds - Self.abandonedAfter.wholeMilliseconds)
        try await database.write { try $0.run(SharedFileStore.removeAbandoned, before) }
    }
}

/// The rows of `stored_files` and `stored_file_parts`.
enum SharedFileStore {
    static let insertPart: SQL = """
        INSERT INTO stored_file_parts (parts_id, start_offset, created_at, bytes) VALUES ($1, $2, $3, $4)
        """
    static let put: SQL = """
        INSERT INTO stored_files (area, name, parts_id, byte_count, sha256, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (area, name) DO UPDATE
        SET parts_id = excluded.parts_id, byte_count = excluded.byte_count, sha256 = excluded.sha256,
            created_at = excluded.created_at
        """
    static let find: SQL = "SELECT parts_id, byte_count, sha256 FROM stored_files WHERE area = $1 AND name = $2"
    static let part: SQL = "SELECT bytes FROM stored_file_parts WHERE parts_id = $1 AND start_offset = $2"
    static let remove: SQL = "DELETE FROM stored_files WHERE area = $1 AND name = $2"
    static let removeParts: SQL = "DELETE FROM stored_file_parts WHERE parts_id = $1"
    static let removeAbandoned: SQL = """
        DELETE FROM stored_file_parts
        WHERE created_at < $1 AND parts_id NOT IN (SELECT parts_id FROM stored_files)
        """

    static let statements = [insertPart, put, find, part, remove, removeParts, removeAbandoned]
}
