import API
import Base
import Domain
import Transport

/// One request on its way: what was matched and who asks.
struct RequestContext: Sendable {
    let request: HTTPRequest
    let place: RoutePlace
    let parameters: RouteParameters
    /// nil on open routes.
    let caller: Principal?
    let serverLog: Log

    var route: Route { place.route }
    /// With the request's id on every line.
    var log: Log { serverLog.with(["request_id": request.id]) }

    /// Only reachable on routes that are not open, where the front door has set it.
    var principal: Principal {
        get throws(BerthError) {
            guard let caller else { throw BerthError(.unauthenticated, "this needs an API key") }
            return caller
        }
    }

    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// The id in the path. One that has not this kind's form names nothing.
    func id<Kind: IdentifierKind>(_ name: String, _: Kind.Type = Kind.self) throws(BerthError) -> Identifier<Kind> {
        let text = parameter(name)
        do {
            return try Identifier<Kind>(text)
        } catch {
            throw BerthError(
                .notFound,
                "there is no '\(text.prefix(80))'",
                field: name,
                remedy: error.remedy
            )
        }
    }

    func text(_ name: String) -> String? { request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }

    func integer(_ name: String, default standard: Int64) throws(BerthError) -> Int64 {
        guard let text = text(name) else { return standard }
        guard let number = Int64(text) else {
            throw BerthError(.invalidValue, "'\(text.prefix(40))' is not a whole number", field: name)
        }
        return number
    }

    func flag(_ name: String) -> Bool { ["1", "true", ""].contains(request.queryValue(name) ?? "false") }

    /// Checks the query against the route's own declaration: unknown names are refused, like unknown fields.
    func checkQuery() throws(BerthError) {
        for (name, value) in try request.query {
            guard let parameter = route.query.first(where: { $0.name == name }) else {
                let known = route.query.map(\.name)
                throw BerthError(
                    .unknownField,
                    "there is no parameter '\(name.prefix(80))' here",
                    field: name,
                    remedy: Similarity.nearest(name, in: known).map { "did you mean '\($0)'?" }
                        ?? (known.isEmpty ? "this route takes none" : "parameters: \(known.joined(separator: ", "))")
                )
            }
            switch parameter.schema {
            case .integer:
                guard let number = Int64(value) else {
                    throw BerthError(.invalidValue, "'\(value.prefix(40))' is not a whole number", field: name)
                }
                try parameter.schema.check(.integer(number), at: name)
            case .boolean:
                guard ["", "1", "0", "true", "false"].contains(value) else {
                    throw BerthError(
                        .invalidValue,
                        "'\(value.prefix(40))' is not a truth value",
                        field: name,
                        remedy: "true or false"
                    )
                }
            default: try parameter.schema.check(.string(value), at: name)
            }
        }
    }

    /// The request's body, strictly decoded.
    func body<Value: Decodable>(_: Value.Type = Value.self, limit: Int) async throws -> Value {
        guard let schema = route.body else { throw BerthError(.internal, "the route declares no body") }
        if let type = request.headers["content-type"], !type.lowercased().hasPrefix("application/json") {
            throw BerthError(
                .invalidRequest,
                "the body is '\(type.prefix(80))'",
                field: "content-type",
                remedy: "send application/json"
            )
        }
        return try JSONBody.decode(Value.self, from: try await request.body.collect(upTo: limit), schema: schema)
    }

    var idempotencyKey: String? {
        get throws(BerthError) {
            guard let key = request.headers["idempotency-key"] else { return nil }
            guard (1...200).contains(key.utf8.count) else {
                throw BerthError(.invalidValue, "the key must have 1 to 200 bytes", field: "Idempotency-Key")
            }
            // What stands for bytes that were no UTF-8: two such keys would be one.
            guard !key.unicodeScalars.contains("\u{FFFD}") else {
                throw BerthError(.invalidValue, "the key is not UTF-8", field: "Idempotency-Key")
            }
            return key
        }
    }
}
