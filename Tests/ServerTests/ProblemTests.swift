import API
import Base
import Testing
import Transport

@Suite struct ProblemTests {
    @Test func `bad input is answered with its field and the way out`() async throws {
        try await RunningServer.with { server in
            let cases: [(method: String, target: String, body: String?, status: Int, code: String, field: String?)] = [
                ("POST", "/v1/executions", #"{"promt":"x"}"#, 400, "unknown_field", "promt"),
                ("POST", "/v1/executions", "{", 400, "invalid_json", nil),
                ("POST", "/v1/executions", #"{"command":[]}"#, 400, "missing_field", "command"),
                (
                    "POST", "/v1/executions", #"{"command":["a"],"config":{"timeoutMs":-1}}"#, 400, "invalid_value",
                    "config.timeoutMs"
                ),
                ("GET", "/v1/executions?status=asleep", nil, 400, "invalid_value", "status"),
                ("GET", "/v1/executions?limit=0", nil, 400, "invalid_value", "limit"),
                ("GET", "/v1/executions?sort=up", nil, 400, "unknown_field", "sort"),
                ("PUT", "/v1/executions", nil, 405, "method_not_allowed", nil),
                ("GET", "/v2/executions", nil, 404, "not_found", nil),
                ("GET", "/v1/executions/..%2fetc", nil, 404, "not_found", "executionId"),
            ]
            for (method, target, body, status, code, field) in cases {
                let answer = try await server.request(method, target, body: body)
                #expect(answer.status == status, "\(target)")
                #expect(answer.body?["code"]?.string == code, "\(target)")
                #expect(answer.body?["field"]?.string == field, "\(target)")
                #expect(answer.body?["requestId"]?.string == answer.headers["x-request-id"], "\(target)")
            }
        }
    }

    @Test func `a body over the limit answers 413`() async throws {
        try await RunningServer.with(settings: ["maxBodyBytes": "65536"]) { server in
            let text = String(repeating: "x", count: 70_000)
            let answer = try await server.request("POST", "/v1/executions", body: #"{"prompt":"\#(text)"}"#)
            #expect(answer.status == 413)
            #expect(answer.body?["code"]?.string == "too_large")
        }
    }

    @Test func `another media type is refused`() async throws {
        try await RunningServer.with { server in
            let answer = try await server.request(
                "POST",
                "/v1/executions",
                body: "a=b",
                headers: ["content-type": "application/x-www-form-urlencoded"]
            )
            #expect(answer.status == 400)
            #expect(answer.body?["field"]?.string == "content-type")
        }
    }
}
