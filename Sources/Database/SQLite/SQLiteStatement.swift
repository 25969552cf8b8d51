import Base
import CSQLite

/// One prepared statement. Owned by its ``SQLiteHandle``, used on that handle's thread.
final class SQLiteStatement {
    private let pointer: OpaquePointer
    /// For each of SQLite's parameters, in its order of first appearance, the number behind the `$`.
    private let numbers: [Int]
    private let valueCount: Int
    let columns: Columns
    let isReadOnly: Bool
    /// It changes rows and nothing else, so that their count tells whether it did.
    let changesRows: Bool
    private(set) var isBusy = false
    /// Texts of the run that is under way, where SQLite reads them: a copy of its own would cost an allocation each. Their
    /// bindings are cleared before the memory is used again.
    private var texts: UnsafeMutableRawBufferPointer
    private static let longestTexts = 32 << 10
    private var textBytes = 0

    /// Refuses parameters other than `$1`…`$n`, each used at least once.
    init(_ pointer: OpaquePointer, text: String) throws {
        var numbers: [Int] = []
        for index in 1..<(1 + sqlite3_bind_parameter_count(pointer)) {
            let name = sqlite3_bind_parameter_name(pointer, index).map { String(cString: $0) } ?? "?"
            guard name.first == "$", let number = Int(name.dropFirst()), number > 0, name == "$\(number)" else {
                throw Self.placeholderError("parameter '\(name)' is not $ and a number", text)
            }
            numbers.append(number)
        }
        let highest = numbers.max() ?? 0
        guard numbers.count == highest else {
            throw Self.placeholderError("the numbers up to $\(highest) are not all used", text)
        }
        // Not before the last refusal: what has no whole object has no end either.
        texts = .allocate(byteCount: 0, alignment: 1)
        self.pointer = pointer
        self.numbers = numbers
        valueCount = highest
        columns = Columns((0..<sqlite3_column_count(pointer)).map { String(cString: sqlite3_column_name(pointer, $0)) })
        isReadOnly = sqlite3_stmt_readonly(pointer) != 0
        changesRows = ["INSERT", "UPDATE", "DELETE"].contains { text.hasPrefix($0) }
    }

    private static func placeholderError(_ what: String, _ text: String) -> BerthError {
        BerthError(.internal, "a SQL statement is written wrongly", detail: "\(what); statement: \(text)")
    }

    func finalize() { sqlite3_finalize(pointer) }

    deinit { texts.deallocate() }

    func begin() { isBusy = true }

    func end() {
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
        if textBytes > texts.count, textBytes <= Self.longestTexts {
            // There is room for all of them the next time.
            texts.deallocate()
            texts = .allocate(byteCount: min(2 * textBytes, Self.longestTexts), alignment: 1)
        }
        textBytes = 0
        // SQLite counts a statement's steps over all its runs, and asks the progress handler by that count.
        sqlite3_stmt_status(pointer, SQLITE_STMTSTATUS_VM_STEP, 1)
        isBusy = false
    }

    /// SQLite's code of the first value that it did not take.
    func bind(_ values: [SQLValue]) throws -> Int32 {
        guard values.count == valueCount else {
            throw BerthError(
                .internal,
                "a SQL statement is called wrongly",
                detail: "\(valueCount) values expected, \(values.count) given"
            )
        }
        for index in numbers.indices {
            let number = numbers[index]
            let code = try bind(values[number - 1], at: Int32(index + 1), number: number)
            guard code == SQLITE_OK else { return code }
        }
        return SQLITE_OK
    }

    private func bind(_ value: SQLValue, at index: Int32, number: Int) throws -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(pointer, index)
        case .integer(let integer): return sqlite3_bind_int64(pointer, index, integer)
        case .real(let real): return sqlite3_bind_double(pointer, index, real)
        case .blob(let bytes):
            return bytes.withUnsafeBytes { berth_sqlite_bind_blob(pointer, index, $0.baseAddress, UInt64($0.count)) }
        case .text(var text):
            return try text.withUTF8 { bytes in
                guard !bytes.contains(0) else { throw BerthError.textWithNUL(value: number) }
                let start = textBytes
                textBytes += bytes.count
                guard textBytes <= texts.count else {
                    return bytes.withMemoryRebound(to: CChar.self) {
                        berth_sqlite_bind_text(pointer, index, $0.baseAddress, UInt64($0.count))
                    }
                }
                let place = UnsafeMutableRawBufferPointer(rebasing: texts[start..<textBytes])
                place.copyBytes(from: bytes)
                return berth_sqlite_bind_kept_text(pointer, index, place.baseAddress, UInt64(place.count))
            }
        }
    }

    func step() -> Int32 { sqlite3_step(pointer) }

    func row() throws -> Row {
        var values: [SQLValue] = []
        values.reserveCapacity(columns.names.count)
        for index in 0..<Int32(columns.names.count) { values.append(try value(at: index)) }
        return Row(columns: columns, values: values)
    }

    private func value(at index: Int32) throws -> SQLValue {
        switch sqlite3_column_type(pointer, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(pointer, index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(pointer, index))
        case SQLITE_TEXT:
            let start = sqlite3_column_text(pointer, index)
            let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(pointer, index)))
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw BerthError(
                    .internal,
                    "the database holds text that is not UTF-8",
                    detail: "column \(columns.names[Int(index)])"
                )
            }
            return .text(text)
        case SQLITE_BLOB:
            let start = sqlite3_column_blob(pointer, index)
            let count = Int(sqlite3_column_bytes(pointer, index))
            return .blob(Array(UnsafeRawBufferPointer(start: start, count: count)))
        default: return .null
        }
    }
}
