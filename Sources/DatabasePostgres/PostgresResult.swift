import Base
import CPostgres
import Database

/// What the server answered to one command. Owns the result and frees it.
final class PostgresResult {
    private let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { PQclear(pointer) }

    var status: ExecStatusType { PQresultStatus(pointer) }
    var rowCount: Int32 { PQntuples(pointer) }
    private var columnCount: Int32 { PQnfields(pointer) }

    /// Such as `COMMIT`, `SELECT 3`, `UPDATE 1`.
    var tag: String { String(cString: PQcmdStatus(pointer)) }

    /// Rows that a changing statement changed; 0 for a question.
    var changedRows: Int {
        let tag = tag
        guard ["INSERT", "UPDATE", "DELETE", "MERGE"].contains(where: { tag.hasPrefix($0) }) else { return 0 }
        return Int(String(cString: PQcmdTuples(pointer))) ?? 0
    }

    /// A question's, or that of a change of rows, whose count tells whether it changed any.
    var isPlain: Bool {
        let tag = tag
        return ["SELECT", "INSERT", "UPDATE", "DELETE"].contains { tag.hasPrefix($0) }
    }

    func failure(statement: String?) -> PostgresFailure {
        let state = field(stateField) ?? ""
        var text = field(messageField) ?? String(cString: PQresultErrorMessage(pointer))
        // The detail of a unique violation repeats the row's values, which belong in no log.
        if state != "23505", let more = field(detailField) { text += "; " + more }
        if let name = field(constraintField) { text += " (\(name))" }
        return PostgresError.translate(state: state, text: text, statement: statement)
    }

    private func field(_ code: Int32) -> String? {
        PQresultErrorField(pointer, code).map { String(cString: $0) }
    }

    /// The error fields' codes (PG_DIAG_…), character constants that Swift does not import.
    private var stateField: Int32 { 67 }
    private var messageField: Int32 { 77 }
    private var detailField: Int32 { 68 }
    private var constraintField: Int32 { 110 }

    func columns() -> Columns {
        Columns((0..<columnCount).map { PQfname(pointer, $0).map { String(cString: $0) } ?? "" })
    }

    func row(_ row: Int32, _ columns: Columns) throws -> Row {
        var values: [SQLValue] = []
        values.reserveCapacity(columns.names.count)
        for column in 0..<columnCount {
            guard PQgetisnull(pointer, row, column) == 0 else {
                values.append(.null)
                continue
            }
            let start = UnsafeRawPointer(PQgetvalue(pointer, row, column))
            let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(pointer, row, column)))
            guard let value = PostgresValue.decode(type: PQftype(pointer, column), bytes) else {
                throw BerthError(
                    .internal,
                    "the database holds something this version does not expect",
                    detail: "column \(columns.names[Int(column)]) has type \(PQftype(pointer, column))"
                )
            }
            values.append(value)
        }
        return Row(columns: columns, values: values)
    }
}

/// Values in PostgreSQL's binary format, by the type's number in pg_type.
enum PostgresValue {
    /// nil: a type that Berth does not use.
    static func decode(type: UInt32, _ bytes: UnsafeRawBufferPointer) -> SQLValue? {
        switch type {
        case 20, 5069: integer(bytes, as: Int64.self)  // int8, xid8
        case 23: integer(bytes, as: Int32.self)
        case 21: integer(bytes, as: Int16.self)
        case 26: integer(bytes, as: UInt32.self)  // oid
        case 16: .integer(bytes.first == 1 ? 1 : 0)
        case 701: .real(Double(bitPattern: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))))
        case 700: .real(Double(Float(bitPattern: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))))
        case 17: .blob(Array(bytes))
        case 25, 19, 1042, 1043, 705: String(validating: bytes, as: UTF8.self).map { .text($0) }
        case 2278: .null  // void
        case 1700: numeric(bytes)
        default: nil
        }
    }

    private static func integer<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, as: Value.Type) -> SQLValue?
    {
        guard bytes.count == MemoryLayout<Value>.size else { return nil }
        return .integer(Int64(truncatingIfNeeded: Value(bigEndian: bytes.loadUnaligned(as: Value.self))))
    }

    /// SUM over BIGINT is a numeric: digits of base 10,000. Only whole ones that fit into 64 bits are taken.
    private static func numeric(_ bytes: UnsafeRawBufferPointer) -> SQLValue? {
        func half(_ index: Int) -> UInt16 {
            UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        }
        guard bytes.count >= 8 else { return nil }
        let (count, weight, sign) = (Int(half(0)), Int(Int16(bitPattern: half(1))), half(2))
        guard bytes.count == 8 + 2 * count, half(3) == 0, sign == 0 || sign == 0x4000, weight < 5 else { return nil }
        var value: Int64 = 0
        for place in 0..<max(0, weight + 1) {
            let digit = place < count ? Int64(half(4 + place)) : 0
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10_000)
            let (sum, overflow) = product.addingReportingOverflow(digit)
            guard !tooLarge, !overflow else { return nil }
            value = sum
        }
        return .integer(sign == 0 ? value : -value)
    }
}
