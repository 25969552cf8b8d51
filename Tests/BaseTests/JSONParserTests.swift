import Base
import FoundationEssentials
import Testing

@Suite struct JSONParserTests {
    @Test(arguments: [
        #"{"a":[1,-2.5,1e3,true,false,null,"x\u00e9\n\/"],"b":{}}"#, "[]", "0", "-0.5E-2", #""\ud83d\ude00""#,
        " [ 1 , 2 ] ",
        "12345678901234567890",
    ])
    func `what the coder reads is read alike`(text: String) throws {
        #expect(try JSONValue(parsing: text.utf8) == JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":}", "01", "1.", "+1", "tru", "\"\u{01}\"", #""\x""#, "1 2", #"{"a" 1}"#, "nan",
        "1e999",
    ])
    func `malformed text is refused`(text: String) {
        #expect(throws: BerthError.self) { try JSONValue(parsing: text.utf8) }
    }

    @Test func `nesting is bounded and half a surrogate pair is replaced`() throws {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: BerthError.self) { try JSONValue(parsing: deep.utf8) }
        #expect(try JSONValue(parsing: #""a\ud83d""#.utf8) == .string("a\u{FFFD}"))
    }

    @Test func `text and parse are inverse`() throws {
        let value = JSONValue.object(["z": .array([.null, .bool(true), .number(0.1)]), "a": .string("q\"\n\u{02}é")])
        #expect(try JSONValue(parsing: value.text.utf8) == value)
    }
}
