public import Base

/// The column names of a statement's result, shared by its rows.
package final class Columns: Sendable {
    package let names: [String]
    private let places: [String: Int]

    package init(_ names: [String]) {
        self.names = names
        places = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func place(of name: String) -> Int? { places[name] }
}

/// One row of a result. A column that is missing, null or of another type than asked for is an `internal` error that
/// names the column: the schema and the code disagree.
public struct Row: Sendable {
    let columns: Columns
    let values: [SQLValue]

    package init(columns: Columns, values: [SQLValue]) {
        self.columns = columns
        self.values = values
    }

    public subscript(_ name: String) -> SQLValue {
        get throws {
            guard let place = columns.place(of: name) else {
                throw mismatch(name, "is not in the result")
            }
            return values[place]
        }
    }

    public func text(_ name: String) throws -> String { try required(name, optionalText(name)) }
    public func integer(_ name: String) throws -> Int64 { try required(name, optionalInteger(name)) }
    public func int(_ name: String) throws -> Int { Int(try integer(name)) }
    public func real(_ name: String) throws -> Double { try required(name, optionalReal(name)) }
    public func blob(_ name: String) throws -> [UInt8] { try required(name, optionalBlob(name)) }
    public func bool(_ name: String) throws -> Bool { try integer(name) != 0 }
    public func timestamp(_ name: String) throws -> Timestamp { Timestamp(milliseconds: try integer(name)) }

    public func id<Kind>(_ name: String) throws -> Identifier<Kind> { try required(name, optionalID(name)) }
    public func id<Kind>(_: Kind.Type, _ name: String) throws -> Identifier<Kind> { try id(name) }

    /// A string enumeration's case; an unknown name is an error.
    public func value<Value: RawRepresentable>(_ name: String) throws -> Value where Value.RawValue == String {
        try required(name, optionalValue(name))
    }

    public func optionalText(_ name: String) throws -> String? {
        switch try self[name] {
        case .text(let text): text
        case .null: nil
        case .integer, .real, .blob: throw mismatch(name, "is not text")
        }
    }

    public func optionalInteger(_ name: String) throws -> Int64? {
        switch try self[name] {
        case .integer(let integer): integer
        case .null: nil
        case .text, .real, .blob: throw mismatch(name, "is not an integer")
        }
    }

    public func optionalInt(_ name: String) throws -> Int? { try optionalInteger(name).map(Int.init) }
    public func optionalBool(_ name: String) throws -> Bool? { try optionalInteger(name).map { $0 != 0 } }

    public func optionalReal(_ name: String) throws -> Double? {
        switch try self[name] {
        case .real(let real): real
        case .integer(let integer): Double(integer)
        case .null: nil
        case .text, .blob: throw mismatch(name, "is not a number")
        }
    }

    public func optionalBlob(_ name: String) throws -> [UInt8]? {
        switch try self[name] {
        case .blob(let bytes): bytes
        case .null: nil
        case .text, .integer, .real: throw mismatch(name, "is not a blob")
        }
    }

    public func optionalTimestamp(_ name: String) throws -> Timestamp? {
        try optionalInteger(name).map(Timestamp.init(milliseconds:))
    }

    public func optionalID<Kind>(_ name: String) throws -> Identifier<Kind>? {
        guard let text = try optionalText(name) else { return nil }
        do {
            return try Identifier<Kind>(text)
        } catch {
            throw mismatch(name, "holds no \(Kind.prefix) id: \(error.message)")
        }
    }

    public func optionalValue<Value: RawRepresentable>(_ name: String) throws -> Value? where Value.RawValue == String {
        guard let text = try optionalText(name) else { return nil }
        guard let value = Value(rawValue: text) else {
            throw mismatch(name, "holds '\(text.prefix(40))', which is no \(Value.self)")
        }
        return value
    }

    private func required<Value>(_ name: String, _ value: Value?) throws -> Value {
        guard let value else { throw mismatch(name, "is null") }
        return value
    }

    private func mismatch(_ name: String, _ what: String) -> BerthError {
        BerthError(
            .internal,
            "the database holds something this version does not expect",
            detail: "column \(name) \(what); columns: \(columns.names.joined(separator: ", "))"
        )
    }
}
