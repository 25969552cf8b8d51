import Base
import FoundationEssentials
import Testing

@Suite struct JSONTextDecoderTests {
    private struct Inner: Codable, Equatable {
        var flag: Bool?
        var list: [Int]
        var map: [String: Double]
    }

    private struct Outer: Codable, Equatable {
        enum Kind: String, Codable { case one, two }

        var kind: Kind
        var count: Int64
        var small: UInt8?
        var text: String?
        var inner: Inner?
        var at: Timestamp?
        var any: JSONValue?
    }

    /// The same value, or an error of the same kind, as Foundation's decoder.
    private func expectSame<Value: Decodable & Equatable>(
        _: Value.Type,
        _ text: [UInt8],
        _ location: SourceLocation = #_sourceLocation
    ) {
        func outcome(_ decode: () throws -> Value) -> (Value?, String) {
            do { return (try decode(), "") } catch { return (nil, "\(type(of: error))") }
        }
        let ours = outcome { try JSONText.decode(Value.self, from: text) }
        let theirs = outcome { try JSONDecoder().decode(Value.self, from: Data(text)) }
        #expect(ours.0 == theirs.0, "\(String(decoding: text, as: UTF8.self))", sourceLocation: location)
        #expect(ours.1 == theirs.1, "\(String(decoding: text, as: UTF8.self))", sourceLocation: location)
    }

    private static let texts = [
        #"{"kind":"one","count":1}"#,
        #" { "kind" : "two" , "count" : -9223372036854775808 , "small":255, "text":null } "#,
        #"{"kind":"two","count":7,"text":"a\n\"é😀\\\/","inner":{"list":[1,2,-3],"map":{"a":1.5,"b":-0,"c":1e3}}}"#,
        #"{"count":3,"kind":"one","inner":{"flag":false,"list":[],"map":{}},"at":"2026-11-20T03:14:39.123Z","x":[{}]}"#,
        #"{"kind":"one","count":2,"any":{"b":[true,null,"\u00e9\ud83d\ude00",12.25,{"c":{}}],"a":-1}}"#,
        #"{"k\u0069nd":"one","count":2,"any":[[[1],[]],9223372036854775808,1.0]}"#,
        #"{"kind":"three","count":1}"#, #"{"kind":"one"}"#, #"{"kind":"one","count":1.5}"#,
        #"{"kind":"one","count":1.0}"#, #"{"kind":"one","count":"1"}"#, #"{"kind":"one","count":1,"small":256}"#,
        #"{"kind":"one","count":1,"kind":"two"}"#, #"{"kind":"one","count":1,"text":"\ud800"}"#,
        #"{"kind":"one","count":1,"any":1e999}"#, #"{"kind":"one","count":01}"#, #"{"kind":"one","count":1}x"#,
        #"{"kind":"one","count":1,}"#, #"{"kind":"one" "count":1}"#, "", "[]", "null", "{}", "{", "\"\u{0}\"", "tru",
    ]

    @Test(arguments: texts)
    func `a text is read as Foundation reads it`(text: String) {
        expectSame(Outer.self, Array(text.utf8))
        expectSame(JSONValue.self, Array(text.utf8))
        expectSame([String].self, Array(text.utf8))
    }

    @Test func `a text with a few bytes changed is read as Foundation reads it`() {
        let randomness = SeededRandomness(seed: 11)
        func random(_ count: Int) -> Int { Int(randomness.next() % UInt64(count)) }
        let letters = Array("{}[]\",:\\0123456789.eE+-ntfu \n\t\u{1}é".utf8) + [0xFF, 0x00, 0x80]
        for round in 0..<4000 {
            var text = Array(Self.texts[round % 6].utf8)
            for _ in 0...random(3) {
                let place = random(text.count)
                switch random(3) {
                case 0: text[place] = letters[random(letters.count)]
                case 1: text.insert(letters[random(letters.count)], at: place)
                default: text.remove(at: place)
                }
            }
            expectSame(Outer.self, text)
            expectSame(JSONValue.self, text)
        }
    }

    @Test func `an element is read after one that did not fit`() throws {
        struct Either: Decodable, Equatable {
            var values: [String] = []
            init(from decoder: any Decoder) throws {
                var elements = try decoder.unkeyedContainer()
                while !elements.isAtEnd {
                    if let number = try? elements.decode(Int.self) {
                        values.append("number \(number)")
                    } else if try elements.decodeNil() {
                        values.append("nothing")
                    } else {
                        values.append(try elements.decode(String.self))
                    }
                }
            }
        }
        expectSame(Either.self, Array(#"[1,"a",null,"b",2]"#.utf8))
    }
}
