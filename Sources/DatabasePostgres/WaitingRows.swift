import Base
import Database

/// Rows that the transactions of a group have posted, by their statement: those of one statement go with as few
/// commands as possible, statements in the order in which they were first used.
struct WaitingRows {
    private struct Key: Hashable {
        var one: SQL
        var isFenced: Bool
    }

    private struct Rows {
        var statement: RowStatement
        var isFenced: Bool
        var values: [PostgresValues] = []
    }

    private var kinds: [Rows] = []
    private var places: [Key: Int] = [:]

    var isEmpty: Bool { kinds.isEmpty }

    /// - Parameter isFenced: the row has to be changed.
    mutating func add(_ statement: RowStatement, _ values: PostgresValues, isFenced: Bool) {
        let key = Key(one: statement.one, isFenced: isFenced)
        let place = places[key] ?? kinds.count
        if place == kinds.count {
            kinds.append(Rows(statement: statement, isFenced: isFenced))
            places[key] = place
        }
        kinds[place].values.append(values)
    }

    /// What changes them. None of the commands belongs to one transaction.
    mutating func take() -> [PostgresCommand] {
        defer { self = WaitingRows() }
        var commands: [PostgresCommand] = []
        for kind in kinds {
            var rest = kind.values[...]
            for (size, statement) in kind.statement.sizes {
                while rest.count >= size {
                    let fence = kind.isFenced ? RowFence(rows: size, error: NeighbourFailure()) : nil
                    let bound = PostgresValues(joining: rest.prefix(size))
                    commands.append(PostgresCommand(sql: statement, bound: bound, fence: fence, isShared: true))
                    rest.removeFirst(size)
                }
            }
        }
        return commands
    }
}
