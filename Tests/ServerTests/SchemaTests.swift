import API
import Base
import Testing

@Suite struct SchemaTests {
    private func refusal(_ text: String, of id: RouteID = .executionCreate) -> BerthError? {
        guard let schema = RouteTable.route(id)?.body else { return nil }
        do {
            _ = try JSONBody.decode(CreateExecution.self, from: Array(text.utf8), schema: schema)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a request that fits is taken`() {
        #expect(refusal(#"{"command":["true"],"config":{"timeoutMs":1000},"env":{"ANY":"thing"}}"#) == nil)
    }

    @Test(arguments: [#"{"retry":"0","retry":"never"}"#, #"{"config":{"timeoutMs":1,"timeoutMs":2}}"#])
    func `a request that says two things is refused`(text: String) {
        #expect(refusal(text)?.code == .invalidJSON)
    }

    @Test(arguments: [
        (#"{"promt":"x"}"#, "unknown_field", "promt", "did you mean 'prompt'?"),
        (#"{"config":{"timeoutms":1}}"#, "unknown_field", "config.timeoutms", "did you mean 'timeoutMs'?"),
        (#"{"repository":{"base":"main"}}"#, "missing_field", "repository.url", nil),
        (#"{"command":["a",1]}"#, "invalid_value", "command[1]", nil),
        (#"{"env":{"A":1}}"#, "invalid_value", "env.A", nil),
        (#"{"config":{"timeoutMs":"1s"}}"#, "invalid_value", "config.timeoutMs", nil),
        (#"{"network":{"kind":"all"}}"#, "invalid_value", "network.kind", "allowed: none, allow, open"),
    ])
    func `a request that does not fit is refused by its path`(
        text: String,
        code: String,
        field: String,
        remedy: String?
    ) {
        let error = refusal(text)
        #expect(error?.code.rawValue == code)
        #expect(error?.field == field)
        if let remedy { #expect(error?.remedy == remedy) }
    }

    @Test(arguments: ["", "{", "[1,", "nope"])
    func `what is not JSON is refused as such`(text: String) {
        #expect(refusal(text)?.code == .invalidJSON)
    }

    @Test(arguments: ["-9223372036854775809", "9007199254740993.5", "1e3", "9223372036854775807"])
    func `a whole number is read as it was checked, however it is written`(number: String) {
        let text = #"{"command":["true"],"limits":{"processes":\#(number)}}"#
        #expect(refusal(text) == nil)
    }

    @Test(arguments: ["9223372036854775808", "-1e400", "1.5"])
    func `what is no whole number is refused by its path`(number: String) {
        let error = refusal(#"{"command":["true"],"limits":{"processes":\#(number)}}"#)
        #expect(error?.code == .invalidValue && error?.field == "limits.processes" || error?.code == .invalidJSON)
    }

    @Test(.timeLimit(.minutes(1)))
    func `an endless field name is refused without a comparison letter by letter`() {
        let error = refusal("{\"\(String(repeating: "p", count: 8 << 20))\":1}")
        #expect(error?.code == .unknownField)
        #expect(error?.remedy?.hasPrefix("known fields: ") == true)
    }

    @Test func `a body that is not an object is refused`() { #expect(refusal("[]")?.code == .invalidValue) }
}
