import API
import Base
import Domain
import Transport

/// One call of a documented procedure: its input, and the form of its answer.
struct DocumentedProcedure: Sendable {
    let input: JSONValue

    /// The body, or the query's `input`; tRPC's transformer puts either below `json`.
    init(_ context: RequestContext, limit: Int) async throws {
        var value = JSONValue.null
        if context.route.method == .get {
            if let text = context.text("input") { value = try Self.parse(Array(text.utf8)) }
        } else {
            let bytes = try await context.request.body.collect(upTo: limit)
            if !bytes.isEmpty { value = try Self.parse(bytes) }
        }
        if case .object(let members) = value, let inner = members["json"] { value = inner }
        input = value
    }

    private static func parse(_ bytes: [UInt8]) throws(BerthError) -> JSONValue {
        guard let value = try? JSONValue(parsing: bytes) else {
            throw BerthError(.invalidJSON, "the input is not JSON", field: "input")
        }
        return value
    }

    /// For a procedure without arguments: whoever gives some means another one.
    func requireNone() throws(BerthError) {
        switch input {
        case .null: return
        case .object(let members) where members.isEmpty: return
        default:
            throw BerthError(.invalidValue, "this procedure takes no input", field: "input", remedy: "leave it out")
        }
    }

    func text(_ name: String) throws(BerthError) -> String? {
        guard let value = input[name], value != .null else { return nil }
        guard let text = value.string, !text.utf8.contains(0) else { throw mismatch(name, "a text") }
        return text
    }

    func required(_ name: String) throws(BerthError) -> String {
        // A procedure with one argument may be called with it alone.
        if let text = try text(name) ?? input.string { return text }
        throw BerthError(.missingField, "the input has no '\(name)'", field: name)
    }

    func integer(_ name: String, in range: ClosedRange<Int64>) throws(BerthError) -> Int64? {
        guard let value = input[name], value != .null else { return nil }
        guard let number = value.integer else { throw mismatch(name, "a whole number") }
        guard range.contains(number) else {
            throw BerthError(
                .invalidValue,
                "\(number) is out of range",
                field: name,
                remedy: "allowed: \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    private func mismatch(_ name: String, _ wanted: String) -> BerthError {
        BerthError(.invalidValue, "'\(name)' is not \(wanted)", field: name)
    }

    static func answer(_ data: JSONValue) throws -> HTTPResponse {
        try ServerCore.json(JSONValue.object(["result": .object(["data": data])]))
    }
}

extension JSONValue {
    init(_ text: String?) { self = text.map { .string($0) } ?? .null }
    init(_ number: Int?) { self = number.map { .integer(Int64($0)) } ?? .null }
    init(_ moment: Timestamp?) { self = moment.map { .string($0.description) } ?? .null }
}
