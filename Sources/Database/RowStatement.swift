/// A change of one row, and the same for many rows at once, for engines on which each statement costs a good part of what its
/// rows cost. What many do is what one does for each of them, its fence included, because their text is made of its text.
public struct RowStatement: Sendable {
    /// How PostgreSQL takes a value; it cannot tell by itself in a list of rows.
    public enum ValueType: String, Sendable {
        case text = "TEXT"
        case integer = "BIGINT"
    }

    public let one: SQL
    /// By the number of rows, the largest first; the last is ``one``.
    package let sizes: [(rows: Int, statement: SQL)]

    private static let manyRows = [64, 16, 4]

    /// An `UPDATE` with one `WHERE`, that begins a line, and no `FROM`; `types` are those of `$1`, `$2`, …
    public init(updating one: SQL, _ types: [ValueType]) {
        self.one = one
        sizes = Self.manyRows.map { ($0, Self.updating(one, types, rows: $0)) } + [(1, one)]
    }

    /// An `INSERT` of one row whose text ends with `VALUES ($1, …)`, each value once and in order.
    public init(inserting one: SQL) {
        self.one = one
        sizes = Self.manyRows.map { ($0, Self.inserting(one, rows: $0)) } + [(1, one)]
    }

    /// For the test that prepares every statement.
    public var statements: [SQL] { sizes.map(\.statement) }

    /// The columns of a list of values are named `column1`, `column2`, … by both engines.
    private static func updating(_ one: SQL, _ types: [ValueType], rows: Int) -> SQL {
        var text = one.text
        for number in (1...types.count).reversed() {
            text = text.replacing("$\(number)", with: "r.column\(number)")
        }
        let list = (0..<rows).map { row in
            let values = types.enumerated().map { "CAST($\(row * types.count + $0 + 1) AS \($1.rawValue))" }
            return "(" + values.joined(separator: ", ") + ")"
        }
        let from = "\nFROM (VALUES " + list.joined(separator: ", ") + ") AS r\nWHERE "
        return SQL(trusted: text.replacing("\nWHERE ", with: from, maxReplacements: 1))
    }

    private static func inserting(_ one: SQL, rows: Int) -> SQL {
        let mark = "VALUES ("
        let head = one.text.split(separator: mark, maxSplits: 1)[0]
        let width = one.text.count { $0 == "$" }
        let list = (0..<rows).map { row in
            "(" + SQL.placeholders(from: row * width + 1, count: width).text + ")"
        }
        return SQL(trusted: head + "VALUES " + list.joined(separator: ", "))
    }
}
