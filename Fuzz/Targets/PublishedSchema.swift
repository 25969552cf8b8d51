import API
import Base

/// The OpenAPI document as its readers take it: JSON Schema (draft 2020-12), the keywords that the document uses.
struct PublishedSchema {
    static let shared = Self(OpenAPI.document())

    let document: JSONValue

    init(_ document: JSONValue) { self.document = document }

    func body(of route: Route) -> JSONValue? {
        operation(route)?["requestBody"]?["content"]?["application/json"]?["schema"]
    }

    func answer(of route: Route, status: Int) -> JSONValue? {
        operation(route)?["responses"]?["\(status)"]?["content"]?["application/json"]?["schema"]
    }

    private func operation(_ route: Route) -> JSONValue? {
        document["paths"]?[route.path]?[route.method.rawValue.lowercased()]
    }

    /// What is wrong with `value`; nil: nothing. A member that is null counts as one that is not there.
    func fault(_ value: JSONValue, under schema: JSONValue, at path: String = "$") -> String? {
        if case .string(let reference)? = schema["$ref"] {
            let name = reference.split(separator: "/").last.map { String($0) } ?? ""
            guard let target = document["components"]?["schemas"]?[name] else { return "\(path): no schema \(name)" }
            return fault(value, under: target, at: path)
        }
        if let type = schema["type"]?.string, !Self.matches(value, type) { return "\(path) is no \(type)" }
        if let values = schema["enum"]?.array, !values.contains(value) { return "\(path) is none of its values" }
        if let number = value.integer {
            if let minimum = schema["minimum"]?.integer, number < minimum { return "\(path) is below \(minimum)" }
            if let maximum = schema["maximum"]?.integer, number > maximum { return "\(path) is above \(maximum)" }
        }
        switch value {
        case .array(let elements):
            guard let items = schema["items"] else { return nil }
            return elements.enumerated().lazy.compactMap { fault($1, under: items, at: "\(path)[\($0)]") }.first
        case .object(let members): return fault(members, under: schema, at: path)
        default: return nil
        }
    }

    private func fault(_ members: [String: JSONValue], under schema: JSONValue, at path: String) -> String? {
        for name in schema["required"]?.array ?? [] {
            guard let name = name.string, let member = members[name], member != .null else {
                return "\(path) lacks \(name)"
            }
        }
        for name in members.keys.sorted() {
            guard let member = members[name], member != .null else { continue }
            if let property = schema["properties"]?[name] ?? schema["additionalProperties"] {
                if let fault = fault(member, under: property, at: "\(path).\(name)") { return fault }
            } else if schema["properties"] != nil {
                return "\(path).\(name) is not in the document"
            }
        }
        return nil
    }

    private static func matches(_ value: JSONValue, _ type: String) -> Bool {
        switch type {
        case "string": value.string != nil
        case "integer": value.integer != nil
        case "number": value.number != nil
        case "boolean": value.bool != nil
        case "array": value.array != nil
        case "object": if case .object = value { true } else { false }
        default: false
        }
    }
}
