import Base
import Domain
import Testing

@testable import Worker

@Suite struct EgressTests {
    /// A question as a stub resolver writes it (RFC 1035, section 4.1).
    private func question(_ name: String, type: UInt8 = 1, flags: UInt8 = 1) -> [UInt8] {
        var bytes: [UInt8] = [0xAB, 0xCD, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        return bytes + [0, 0, type, 0, 1]
    }

    @Test func `an allowed name has an address, told in the question's own words`() throws {
        let asked = question("Example.COM")
        let parsed = try #require(NameQuestion(asked))
        #expect(parsed.name == "example.com")
        let answer = parsed.answer([127, 64, 0, 1])
        #expect(Array(answer[..<12]) == [0xAB, 0xCD, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
        #expect(Array(answer[12..<asked.count]) == Array(asked[12...]))
        #expect(Array(answer.suffix(4)) == [127, 64, 0, 1])
    }

    @Test func `one asked for IPv6 has no address, and a name that is not allowed does not exist`() throws {
        let six = try #require(NameQuestion(question("a.com", type: 28))).answer([127, 64, 0, 1])
        #expect(six[3] & 15 == 0)
        #expect(six[7] == 0)
        let unknown = try #require(NameQuestion(question("a.com"))).answer(nil)
        #expect(unknown[3] & 15 == 3)
        #expect(unknown[7] == 0)
    }

    @Test func `what is no question is passed over, however it is cut`() {
        let whole = question("a.example.com")
        for count in 0..<whole.count { #expect(NameQuestion(Array(whole[..<count])) == nil, "\(count)") }
        #expect(NameQuestion(question("a.com", flags: 0x80)) == nil, "an answer")
        var compressed = whole
        compressed[12] = 0xC0
        #expect(NameQuestion(compressed) == nil)
    }

    @Test func `a name keeps its address through every change of the list, and shares it with none`() throws {
        var pins = NamePins()
        pins.set(try ["a.com:443", "b.com:80", "*.c.com:443"].map { try NetworkRule($0) })
        let first = pins.address(of: "a.com")
        let below = pins.address(of: "x.c.com")
        let above = pins.address(of: "c.com")
        #expect(first != nil)
        #expect(below != nil)
        #expect(above == nil)
        #expect(pins.places.map { "\($0.name):\($0.port)" } == ["a.com:443", "b.com:80", "x.c.com:443"])
        pins.set([try NetworkRule("d.com:443")])
        let gone = pins.address(of: "a.com")
        #expect(gone == nil)
        #expect(pins.places.map(\.name) == ["d.com"])
        let other = pins.address(of: "d.com")
        pins.set(try ["a.com:443", "a.com:22"].map { try NetworkRule($0) })
        let again = pins.address(of: "a.com")
        #expect(again == first)
        #expect(Set([first, below, other]).count == 3)
        #expect(pins.places.map(\.port) == [22, 443])
    }
}
