import Base
import FoundationEssentials
import Testing

@Suite struct JSONValueTests {
    @Test func `any JSON is carried unchanged`() throws {
        let text = #"{"a":[1,-2.5,true,null,"x"],"b":{"c":9007199254740993}}"#
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(value["b"]?["c"]?.integer == 9_007_199_254_740_993)
        #expect(value["a"]?.array?.count == 5)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        #expect(String(decoding: try encoder.encode(value), as: UTF8.self) == text)
    }

    @Test(arguments: ["111111111611111111.1111111000000000000", "9007199254740993.5", "1e15", "17885963945512787341"])
    func `a number is the same when its own text is read again`(text: String) throws {
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(value)) == value)
    }
}
