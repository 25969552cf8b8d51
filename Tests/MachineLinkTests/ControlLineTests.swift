import MachineLink
import Testing

@Suite struct ControlLineTests {
    @Test(arguments: [
        ["begin"], ["environment", "A=b c\nd%\t"], ["token", ""], ["hostname", "büro"], ["", "", "x"],
        ["%", "%25", " "],
    ])
    func `words come back as they were`(_ words: [String]) {
        let line = ControlLine(words: words).encoded
        #expect(line.last == 0x0A)
        #expect(line.filter { $0 == 0x0A }.count == 1)
        #expect(ControlLine(line.dropLast()) == ControlLine(words: words))
    }

    @Test func `lines come out as they are whole, empty ones not at all`() {
        var reader = ControlReader()
        let lines1 = reader.receive([0x0A])
        #expect(lines1 == [])
        let lines2 = reader.receive(Array("one tw".utf8)[...])
        #expect(lines2 == [])
        let lines3 = reader.receive(Array("o\n\nthree\nfo".utf8)[...])
        #expect(lines3 == [ControlLine("one", "two"), ControlLine("three")])
        let lines4 = reader.receive(Array("ur\n".utf8)[...])
        #expect(lines4 == [ControlLine("four")])
    }

    @Test func `a line without end takes no memory without end`() {
        var reader = ControlReader()
        for _ in 0..<100 {
            let lines5 = reader.receive([UInt8](repeating: 0x61, count: 10_000)[...])
            #expect(lines5 == [])
        }
        let lines6 = reader.receive(Array("tail\nnext\n".utf8)[...])
        #expect(lines6 == [ControlLine("next")])
    }

    @Test func `a broken escape ends its word and nothing else`() {
        #expect(ControlLine(Array("a%2 b%zz c".utf8)[...]) == ControlLine("a", "b", "c"))
    }
}
