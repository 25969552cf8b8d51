import Base
import Glibc
import OutputStore
import TestSupport
import Testing

@Suite struct ScrollbackTests {
    let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory("scrollback") }

    private func feed(_ bytes: [UInt8], to scrollback: Scrollback) throws {
        let pipe = try NamedPipe()
        defer { close(pipe.read) }
        for start in stride(from: 0, to: bytes.count, by: 50_000) {
            try pipe.fill(Array(bytes[start..<min(start + 50_000, bytes.count)]))
            while case .moved = try scrollback.receive(fromPipe: pipe.read) {}
        }
        pipe.endWriting()
        #expect(try scrollback.receive(fromPipe: pipe.read) == .ended)
    }

    @Test func `everything under the limit is kept, also for a successor`() throws {
        let bytes = pattern(0..<300_000)
        let path = scratch.file("t")
        try feed(Array(bytes[..<200_000]), to: Scrollback(path: path, segmentBytes: 65_536))
        let again = try Scrollback(path: path, segmentBytes: 65_536)
        #expect(again.kept == 0..<200_000)
        try feed(Array(bytes[200_000...]), to: again)
        var read: [UInt8] = []
        while true {
            let (offset, part) = try again.read(from: Int64(read.count), upTo: 70_001)
            #expect(offset == Int64(read.count))
            if part.isEmpty { break }
            read += part
        }
        #expect(read == bytes)
    }

    @Test func `past the limit the oldest go, and a reader learns where the kept ones begin`() throws {
        let bytes = pattern(0..<1_000_000)
        let scrollback = try Scrollback(path: scratch.file("t"), limit: 200_000, segmentBytes: 65_536)
        try feed(bytes, to: scrollback)
        let kept = scrollback.kept
        #expect(kept.upperBound == 1_000_000)
        #expect((200_000...200_000 + 65_536).contains(kept.count))
        let (offset, part) = try scrollback.read(from: 5, upTo: 100)
        #expect(offset == kept.lowerBound)
        #expect(part == Array(bytes[Int(offset)..<Int(offset) + 100]))
        #expect(try scrollback.read(from: 1_000_000, upTo: 10).bytes.isEmpty)
        let again = try Scrollback(path: scratch.file("t"), limit: 200_000, segmentBytes: 65_536)
        #expect(again.kept == kept)
        try again.remove()
        #expect(access(scratch.file("t"), F_OK) != 0)
    }

    @Test func `files that contradict each other are refused`() throws {
        let path = scratch.file("t")
        try feed(pattern(0..<200_000), to: Scrollback(path: path, segmentBytes: 65_536))
        unlink("\(path)/00000000000000065536")
        #expect(throws: BerthError.self) { try Scrollback(path: path, segmentBytes: 65_536) }
    }
}
