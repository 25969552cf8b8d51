public import Base

/// The shape of a JSON value: checked at the door, printed as JSON Schema in the OpenAPI document.
public indirect enum Schema: Sendable {
    case string(about: String = "", values: [String] = [], pattern: String? = nil)
    case integer(minimum: Int64? = nil, maximum: Int64? = nil)
    case number
    case boolean
    /// Any JSON at all.
    case any
    case array(Schema)
    /// An object whose keys are the caller's own.
    case map(Schema)
    /// An object with exactly these members; `name` is its component name in the OpenAPI document.
    case object(name: String, members: [Member])

    public struct Member: Sendable {
        public var name: String
        public var schema: Schema
        public var isRequired: Bool
        public var about: String

        public static func required(_ name: String, _ schema: Schema, _ about: String) -> Member {
            Member(name: name, schema: schema, isRequired: true, about: about)
        }

        public static func optional(_ name: String, _ schema: Schema, _ about: String) -> Member {
            Member(name: name, schema: schema, isRequired: false, about: about)
        }
    }
}

extension Schema {
    /// Refuses `value` with the path of the first field that does not fit, such as `config.timeoutMs`.
    public func check(_ value: JSONValue, at path: String = "") throws(BerthError) {
        switch (self, value) {
        case (.string, .string(let text)) where text.utf8.contains(0):
            throw BerthError(
                .invalidValue,
                "text must not contain the NUL character",
                field: path.isEmpty ? nil : path,
                remedy: "leave U+0000 out"
            )
        case (.any, _), (.boolean, .bool), (.number, .integer), (.number, .number): return
        case (.string(_, let values, _), .string(let text)):
            guard values.isEmpty || values.contains(text) else {
                throw BerthError(
                    .invalidValue,
                    "'\(text.prefix(80))' is not a known value",
                    field: path,
                    remedy: "allowed: \(values.joined(separator: ", "))"
                )
            }
        case (.integer(let minimum, let maximum), _):
            guard let number = value.integer else { throw mismatch(value, at: path) }
            guard number >= minimum ?? .min, number <= maximum ?? .max else {
                throw BerthError(
                    .invalidValue,
                    "\(number) is out of range",
                    field: path,
                    remedy: "allowed: \(minimum ?? .min) to \(maximum ?? .max)"
                )
            }
        case (.array(let element), .array(let values)):
            for (index, value) in values.enumerated() { try element.check(value, at: "\(path)[\(index)]") }
        case (.map(let element), .object(let members)):
            for key in members.keys.sorted() {
                try Schema.string().check(.string(key), at: path)
                if let value = members[key] { try element.check(value, at: Self.join(path, key)) }
            }
        case (.object(_, let members), .object(let given)):
            try Self.check(given, against: members, at: path)
        default: throw mismatch(value, at: path)
        }
    }

    private static func check(_ given: [String: JSONValue], against members: [Member], at path: String)
        throws(BerthError)
    {
        let known = members.map(\.name)
        for key in given.keys.sorted() where !known.contains(key) {
            let near = Similarity.nearest(key, in: known)
            throw BerthError(
                .unknownField,
                "there is no field '\(key.prefix(80))' here",
                field: join(path, key),
                remedy: near.map { "did you mean '\($0)'?" } ?? "known fields: \(known.joined(separator: ", "))"
            )
        }
        for member in members {
            let name = join(path, member.name)
            switch given[member.name] {
            case nil, .null:
                if member.isRequired {
                    throw BerthError(.missingField, "the field is missing", field: name, remedy: member.about)
                }
            case let value?: try member.schema.check(value, at: name)
            }
        }
    }

    private static func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func mismatch(_ value: JSONValue, at path: String) -> BerthError {
        BerthError(
            .invalidValue,
            "expected \(kind), got \(value.kind)",
            field: path.isEmpty ? nil : path
        )
    }

    private var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "a whole number"
        case .number: "a number"
        case .boolean: "true or false"
        case .any: "any value"
        case .array: "an array"
        case .map, .object: "an object"
        }
    }
}

extension JSONValue {
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
