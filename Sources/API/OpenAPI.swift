public import Base

/// The OpenAPI 3.1 document, made from the route table alone.
public enum OpenAPI {
    public static func document(serverURL: String? = nil) -> JSONValue {
        var components: [String: JSONValue] = [:]
        var paths: [String: JSONValue] = [:]
        _ = render(.problem, into: &components)
        for route in RouteTable.all {
            var operations = paths[route.path] ?? .object([:])
            if case .object(var members) = operations {
                members[route.method.rawValue.lowercased()] = operation(route, into: &components)
                operations = .object(members)
            }
            paths[route.path] = operations
        }
        var document: [String: JSONValue] = [
            "openapi": "3.1.0",
            "info": ["title": "Berth", "version": .string(Version.product)],
            "paths": .object(paths),
            "components": [
                "schemas": .object(components),
                "securitySchemes": ["key": ["type": "http", "scheme": "bearer"]],
            ],
        ]
        if let serverURL { document["servers"] = [["url": .string(serverURL)]] }
        return .object(document)
    }

    private static func operation(_ route: Route, into components: inout [String: JSONValue]) -> JSONValue {
        var result: [String: JSONValue] = [
            "operationId": .string(route.id.rawValue),
            "summary": .string(route.summary),
            "security": route.access == .open ? [] : [["key": []]],
            "x-berth-access": .string(route.access.rawValue),
        ]
        var parameters: [JSONValue] = route.parameters.map {
            ["name": .string($0), "in": "path", "required": true, "schema": ["type": "string"]]
        }
        for parameter in route.query {
            parameters.append([
                "name": .string(parameter.name), "in": "query", "description": .string(parameter.about),
                "schema": render(parameter.schema, into: &components),
            ])
        }
        if !parameters.isEmpty { result["parameters"] = .array(parameters) }
        if let body = route.body {
            result["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": render(body, into: &components)]],
            ]
        }
        if route.takesBytes {
            result["requestBody"] = [
                "required": true,
                "content": ["application/octet-stream": ["schema": ["type": "string", "format": "binary"]]],
            ]
        }
        var responses = answers(route.answer, into: &components)
        for other in route.otherAnswers {
            responses.merge(answers(other, into: &components)) { one, two in merged(one, two) }
        }
        if route.method != .get, route.access != .open, route.access != .worker { addSequence(to: &responses) }
        responses["default"] = [
            "description": "what went wrong",
            "content": [Problem.mediaType: ["schema": ["$ref": "#/components/schemas/Problem"]]],
        ]
        result["responses"] = .object(responses)
        return .object(result)
    }

    /// Answers of one status in several media types.
    private static func merged(_ one: JSONValue, _ two: JSONValue) -> JSONValue {
        guard case .object(var members) = one, case .object(var content)? = members["content"],
            case .object(let further)? = two["content"]
        else { return one }
        content.merge(further) { first, _ in first }
        members["content"] = .object(content)
        return .object(members)
    }

    private static func addSequence(to responses: inout [String: JSONValue]) {
        for (status, answer) in responses {
            guard case .object(var members) = answer else { continue }
            members["headers"] = [
                "Berth-Seq": [
                    "description": "number in /v1/changes from which on the change is seen",
                    "schema": ["type": "integer"],
                ]
            ]
            responses[status] = .object(members)
        }
    }

    private static func answers(_ answer: Answer, into components: inout [String: JSONValue]) -> [String: JSONValue] {
        func content(_ mediaType: String, _ schema: JSONValue, _ status: Int = 200) -> [String: JSONValue] {
            ["\(status)": ["description": "success", "content": [mediaType: ["schema": schema]]]]
        }
        return switch answer {
        case .json(let schema, let status):
            content("application/json", render(schema, into: &components), status)
        case .text(let mediaType): content(mediaType, ["type": "string"])
        case .bytes: content("application/octet-stream", ["type": "string", "format": "binary"])
        case .serverSentEvents: content("text/event-stream", ["type": "string"])
        case .webSocket: ["101": ["description": "the connection becomes a WebSocket"]]
        }
    }

    private static func render(_ schema: Schema, into components: inout [String: JSONValue]) -> JSONValue {
        switch schema {
        case .string(let about, let values, let pattern):
            var result: [String: JSONValue] = ["type": "string"]
            if !about.isEmpty { result["description"] = .string(about) }
            if !values.isEmpty { result["enum"] = .array(values.map { .string($0) }) }
            if let pattern { result["pattern"] = .string(pattern) }
            return .object(result)
        case .integer(let minimum, let maximum):
            var result: [String: JSONValue] = ["type": "integer"]
            if let minimum { result["minimum"] = .integer(minimum) }
            if let maximum { result["maximum"] = .integer(maximum) }
            return .object(result)
        case .number: return ["type": "number"]
        case .boolean: return ["type": "boolean"]
        case .any: return [:]
        case .array(let element): return ["type": "array", "items": render(element, into: &components)]
        case .map(let element):
            return ["type": "object", "additionalProperties": render(element, into: &components)]
        case .object(let name, let members):
            if components[name] == nil {
                components[name] = .null
                components[name] = object(members, into: &components)
            }
            return ["$ref": .string("#/components/schemas/\(name)")]
        }
    }

    private static func object(_ members: [Schema.Member], into components: inout [String: JSONValue]) -> JSONValue {
        var properties: [String: JSONValue] = [:]
        for member in members {
            var rendered = render(member.schema, into: &components)
            if case .object(var parts) = rendered {
                parts["description"] = .string(member.about)
                rendered = .object(parts)
            }
            properties[member.name] = rendered
        }
        return [
            "type": "object", "properties": .object(properties),
            "required": .array(members.filter(\.isRequired).map { .string($0.name) }),
        ]
    }
}
