import API
import Base
import Testing
import Transport

/// Made from the route table: NUL and broken UTF-8 in every string that a route takes.
@Suite struct BrokenTextTests {
    private static let mark = "BROKEN"
    /// Two bytes that begin a character of which the second is no continuation.
    private static let notUTF8: [UInt8] = [0xC3, 0x28]

    /// A value that fits.
    private static func sample(_ schema: Schema) -> JSONValue {
        switch schema {
        case .string(_, let values, _): .string(values.first ?? "x")
        case .integer(let minimum, _): .integer(minimum ?? 1)
        case .number: .integer(1)
        case .boolean: false
        case .any: "x"
        case .array(let element): .array([sample(element)])
        case .map(let element): .object(["x": sample(element)])
        case .object(_, let members):
            .object(Dictionary(uniqueKeysWithValues: members.map { ($0.name, sample($0.schema)) }))
        }
    }

    private typealias Variant = (place: String, value: JSONValue)

    /// Every value that differs from the sample in one string, with that string's place.
    private static func variants(_ schema: Schema, _ text: String, at path: String = "") -> [Variant] {
        switch schema {
        case .string: return [(path, JSONValue.string(text))]
        case .any: return [(path, JSONValue.object([text: .array([.string(text)])]))]
        case .integer, .number, .boolean: return []
        case .array(let element):
            return variants(element, text, at: "\(path)[0]").map { ($0.place, JSONValue.array([$0.value])) }
        case .map(let element):
            let named: [Variant] = [(path, JSONValue.object([text: sample(element)]))]
            return named
                + variants(element, text, at: path + ".x").map { ($0.place, JSONValue.object(["x": $0.value])) }
        case .object(_, let members):
            guard case .object(let whole) = sample(schema) else { return [] }
            var found: [Variant] = []
            for member in members {
                let name = path.isEmpty ? member.name : "\(path).\(member.name)"
                for variant in variants(member.schema, text, at: name) {
                    found.append((variant.place, .object(whole.merging([member.name: variant.value]) { $1 })))
                }
            }
            return found
        }
    }

    /// Whether what stands there may be any JSON.
    private static func isFree(_ schema: Schema, at place: String) -> Bool {
        switch schema {
        case .any: return true
        case .array(let element):
            guard place.hasPrefix("[0]") else { return false }
            return isFree(element, at: String(place.dropFirst(3)))
        case .object(_, let members):
            for member in members where place.hasPrefix(member.name) {
                let rest = place.dropFirst(member.name.count)
                guard rest.isEmpty || rest.first == "." || rest.first == "[" else { continue }
                return isFree(member.schema, at: String(rest.first == "." ? rest.dropFirst() : rest))
            }
            return false
        default: return false
        }
    }

    private static func path(_ route: Route, _ parameter: String = "unknown") -> String {
        "/"
            + route.segments.map { segment in
                switch segment {
                case .literal(let text): text
                case .parameter: parameter
                }
            }.joined(separator: "/")
    }

    @Test func `in a body it is refused with the name of its field`() async throws {
        try await RunningServer.with { server in
            var count = 0
            for route in RouteTable.all {
                guard let schema = route.body, route.access != .worker else { continue }
                for (place, value) in Self.variants(schema, "a\u{0}b") {
                    let answer = try await server.send(route, Self.path(route), Array(value.text.utf8))
                    count += 1
                    // What nobody reads as text may hold it; a path that names nothing is refused before.
                    guard !Self.isFree(schema, at: place), route.parameters.isEmpty else {
                        #expect(answer.status < 500, "\(route.id) \(place): \(answer)")
                        continue
                    }
                    #expect(answer.status == 400, "\(route.id) \(place): \(answer)")
                    #expect(answer.body?["code"]?.string == "invalid_value", "\(route.id) \(place): \(answer)")
                    #expect(answer.body?["field"]?.string == place, "\(route.id) \(place): \(answer)")
                }
                for (place, value) in Self.variants(schema, Self.mark) {
                    let answer = try await server.send(route, Self.path(route), Self.broken(value.text))
                    count += 1
                    #expect((400..<500).contains(answer.status), "\(route.id) \(place): \(answer)")
                    guard route.parameters.isEmpty else { continue }
                    #expect(answer.body?["code"]?.string == "invalid_json", "\(route.id) \(place): \(answer)")
                }
            }
            #expect(count > 50)
            #expect(try await server.request("GET", "/readyz").status == 200)
            #expect(try await server.request("GET", "/v1/executions").body?["items"]?.array?.isEmpty == true)
        }
    }

    @Test(arguments: ["%00", "a%00b", "%C3%28", "%FF", "%ED%A0%80"])
    func `in a path it is refused with the name of the parameter`(text: String) async throws {
        try await RunningServer.with { server in
            for route in RouteTable.all where !route.parameters.isEmpty {
                let body = route.body.map { Array(Self.sample($0).text.utf8) }
                let answer = try await server.send(route, Self.path(route, text), body)
                #expect(answer.status == 400, "\(route.id): \(answer)")
                #expect(answer.body?["code"]?.string == "invalid_value", "\(route.id): \(answer)")
                #expect(answer.body?["field"]?.string == route.parameters.first, "\(route.id): \(answer)")
            }
            let elsewhere = try await server.request("GET", "/v1/nowhere/\(text)")
            #expect(elsewhere.status == 400 && elsewhere.body?["field"]?.string == "path", "\(elsewhere)")
            #expect(try await server.request("GET", "/readyz").status == 200)
        }
    }

    @Test(arguments: ["%00", "%C3%28", "%FF", "%ED%A0%80", "%", "%4", "%zz"])
    func `in a query it is refused with the name of the parameter`(text: String) async throws {
        try await RunningServer.with { server in
            for route in RouteTable.all {
                let body = route.body.map { Array(Self.sample($0).text.utf8) }
                for parameter in route.query {
                    let answer = try await server.send(route, "\(Self.path(route))?\(parameter.name)=\(text)", body)
                    #expect(answer.status == 400, "\(route.id) \(parameter.name): \(answer)")
                    #expect(answer.body?["code"]?.string == "invalid_value", "\(route.id) \(parameter.name): \(answer)")
                    #expect(answer.body?["field"]?.string == parameter.name, "\(route.id): \(answer)")
                }
                // As a name it is refused too, where the route takes parameters and where it takes none.
                let answer = try await server.send(route, "\(Self.path(route))?\(text)=1", body)
                #expect(answer.status == 400, "\(route.id): \(answer)")
                #expect(answer.body?["field"]?.string?.isEmpty == false, "\(route.id): \(answer)")
            }
            #expect(try await server.request("GET", "/readyz").status == 200)
        }
    }

    @Test func `in the key of a repeated request it is refused, as two such keys would be one`() async throws {
        try await RunningServer.with { server in
            // What is read for bytes that are none.
            let headers = HTTPHeaders([("idempotency-key", "a\u{FFFD}")])
            let route = try #require(RouteTable.all.first { $0.id == .executionCreate })
            let body = #"{"command":["true"]}"#
            let answer = try await server.request("POST", route.path, body: body, headers: headers)
            #expect(answer.status == 400)
            #expect(answer.body?["field"]?.string == "Idempotency-Key", "\(answer)")
        }
    }

    private static func broken(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        let mark = Array(mark.utf8)
        while !rest.isEmpty {
            if rest.starts(with: mark) {
                bytes += notUTF8
                rest = rest.dropFirst(mark.count)
            } else {
                bytes.append(rest.removeFirst())
            }
        }
        return bytes
    }
}

extension RunningServer {
    fileprivate func send(_ route: Route, _ target: String, _ body: [UInt8]?) async throws -> (
        status: Int, body: JSONValue?
    ) {
        var headers = HTTPHeaders([("authorization", "Bearer \(key.reveal())")])
        if body != nil { headers.set("content-type", "application/json") }
        let answer = try await http.fetch(
            HTTPClientRequest(
                HTTPMethod(rawValue: route.method.rawValue),
                try HTTPURL(url + target),
                headers: headers,
                body: body.map { .bytes($0) } ?? .none
            )
        )
        return (answer.status, try? JSONValue(parsing: answer.body))
    }
}
