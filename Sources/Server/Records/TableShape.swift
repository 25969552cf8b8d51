import Base
import Database
import OpenSSL

/// A table as the engine describes it, and the statements that walk it.
struct TableShape: Sendable {
    var name: String
    var columns: [String]
    /// Columns of the primary key, in its order.
    var key: [String]

    var count: SQL { SQL(trusted: "SELECT COUNT(*) AS count FROM \(name)") }

    var insert: SQL {
        SQL(trusted: "INSERT INTO \(name) (\(columns.joined(separator: ", "))) VALUES (")
            + SQL.placeholders(from: 1, count: columns.count) + ")"
    }

    /// The rows after the one with a key, in the key's order; from the first where none is given.
    func page(after last: [SQLValue]?) -> SQL {
        let order = key.joined(separator: ", ")
        let from = SQL(trusted: "SELECT \(columns.joined(separator: ", ")) FROM \(name)")
        let rest = SQL(trusted: " ORDER BY \(order) LIMIT 1000")
        guard last != nil else { return from + rest }
        return from + SQL(trusted: " WHERE (\(order)) > (") + SQL.placeholders(from: 1, count: key.count) + ")" + rest
    }

    /// Every table but the migrations' own, each behind those that its rows refer to.
    static func all(in database: any SQLDatabase) async throws -> [TableShape] {
        let dialect = database.dialect
        let (columns, parents) = try await database.read { connection in
            let columns = try connection.rows(dialect.tableColumns).map {
                (try $0.text("table_name"), try $0.text("column_name"), try $0.int("key_place"))
            }
            let parents = try connection.rows(dialect.tableParents).map {
                (try $0.text("table_name"), try $0.text("parent"))
            }
            return (columns, parents)
        }
        var left: [TableShape] = []
        for (table, column, _) in columns where table != "schema_migrations" {
            if left.last?.name != table { left.append(TableShape(name: table, columns: [], key: [])) }
            left[left.count - 1].columns.append(column)
        }
        for index in left.indices {
            let places = columns.filter { $0.0 == left[index].name && $0.2 > 0 }
            left[index].key = places.sorted { $0.2 < $1.2 }.map(\.1)
            guard !left[index].key.isEmpty else {
                throw BerthError(.internal, "the table \(left[index].name) has no primary key")
            }
        }
        var ordered: [TableShape] = []
        while !left.isEmpty {
            let open = Set(left.map(\.name))
            let ready = left.filter { table in
                !parents.contains { $0.0 == table.name && $0.1 != table.name && open.contains($0.1) }
            }
            guard !ready.isEmpty else { throw BerthError(.internal, "tables refer to each other in a circle") }
            ordered += ready
            left.removeAll { table in ready.contains { $0.name == table.name } }
        }
        return ordered
    }
}

/// The digest of a table's rows in the order of their keys: the same in every engine for the same rows.
struct RowDigest {
    private var running = SHA256()

    mutating func add(_ values: [SQLValue]) {
        var bytes: [UInt8] = []
        for value in values {
            switch value {
            case .null: bytes.append(0)
            case .integer(let integer): Self.add(1, Swift.withUnsafeBytes(of: integer.bigEndian) { Array($0) }, &bytes)
            case .real(let real):
                Self.add(2, Swift.withUnsafeBytes(of: real.bitPattern.bigEndian) { Array($0) }, &bytes)
            case .text(let text): Self.add(3, Array(text.utf8), &bytes)
            case .blob(let blob): Self.add(4, blob, &bytes)
            }
        }
        running.update(bytes)
    }

    private static func add(_ tag: UInt8, _ content: [UInt8], _ bytes: inout [UInt8]) {
        bytes.append(tag)
        bytes += Swift.withUnsafeBytes(of: UInt64(content.count).bigEndian) { Array($0) }
        bytes += content
    }

    var text: String { Hex.encode(running.digest) }
}
