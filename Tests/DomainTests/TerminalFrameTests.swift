import Base
import Domain
import Testing

@Suite struct TerminalFrameTests {
    private static let frames: [TerminalFrame] = [
        .size(TerminalSize(columns: 300, rows: 2)), .data(offset: 1 << 40, bytes: [0, 255, 10]),
        .gap(7..<1 << 33), .data(offset: 0, bytes: []), .end(TerminalExit(exitCode: 3)),
        .end(TerminalExit(signal: 9)), .end(TerminalExit(isLost: true)), .input([3, 4]), .input([]),
    ]

    @Test(arguments: [1, 2, 7, 4096])
    func `frames come out of a stream as they went in, however it is cut`(piece: Int) throws {
        let bytes = Self.frames.flatMap { $0.encoded() }
        var parser = TerminalFrame.Parser()
        var seen: [TerminalFrame] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            parser.append(bytes[start..<min(start + piece, bytes.count)])
            while let frame = try parser.next() { seen.append(frame) }
        }
        #expect(seen == Self.frames)
    }

    @Test func `a viewer's size is told from the terminal's`() throws {
        let size = TerminalFrame.size(TerminalSize(columns: 80, rows: 24))
        #expect(size.encoded() == [2, 0, 0, 0, 4, 0, 80, 0, 24])
        #expect(size.encoded(byViewer: true) == [17, 0, 0, 0, 4, 0, 80, 0, 24])
    }

    @Test(arguments: [
        [9, 0, 0, 0, 0], [1, 0, 0, 0, 2, 0, 0], [2, 0, 0, 0, 3, 0, 80, 0], [3, 0, 0, 0, 1, 0x7B],
        [1, 255, 255, 255, 255], [4, 0, 0, 0, 16] + [UInt8](repeating: 255, count: 16),
    ])
    func `what is no frame is refused`(bytes: [UInt8]) {
        var parser = TerminalFrame.Parser()
        parser.append(bytes)
        #expect(throws: BerthError.self) { try parser.next() }
    }
}
