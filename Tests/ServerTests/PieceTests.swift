import Base
import Testing

@testable import Server

@Suite struct PieceTests {
    @Test func `text never ends within a character while more may come`() {
        let bytes = Array("aé€😀".utf8)
        for count in 1...bytes.count {
            let text = ExecutionCursor.text(Array(bytes.prefix(count)), mayGrow: true)
            #expect(text.map { bytes.starts(with: $0.utf8) } == true, "\(count)")
        }
        #expect(ExecutionCursor.text([0x61, 0xC3], mayGrow: false) == nil)
        #expect(ExecutionCursor.text([0x61, 0xFF, 0x62], mayGrow: true) == nil)
        #expect(ExecutionCursor.text([0xFF], mayGrow: true) == nil)
    }
}
