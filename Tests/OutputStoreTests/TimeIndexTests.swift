import Base
import FoundationEssentials
import OutputStore
import TestSupport
import Testing

@Suite struct TimeIndexTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func `what is noted is read again, by a later process too, and a millisecond is one record`() throws {
        let folder = try TemporaryDirectory("times")
        let path = folder.file("times")
        let index = TimeIndex(path: path)
        #expect(index.isEmpty)
        index.note(columns: 80, rows: 24, from: 0)
        index.note(end: 10, at: at(1000))
        index.note(end: 20, at: at(1000))
        index.note(end: 20, at: at(1500))
        index.note(columns: 300, rows: 65_535, from: 20)
        index.note(end: 30, at: at(1500))
        let expected: [TimeIndex.Entry] = [
            .size(from: 0, columns: 80, rows: 24), .bytes(end: 20, at: at(1000)),
            .size(from: 20, columns: 300, rows: 65_535), .bytes(end: 30, at: at(1500)),
        ]
        #expect(index.entries == expected)
        // A part of a record, as a kill leaves it.
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes.append(contentsOf: [1, 2, 3])
        try bytes.write(to: URL(filePath: path))
        let again = TimeIndex(path: path)
        #expect(again.entries == expected)
        again.note(end: 40, at: at(2000))
        #expect(TimeIndex(path: path).entries == expected + [.bytes(end: 40, at: at(2000))])
    }

    @Test func `its size is bounded, sizes stay, and new times are as fine as before`() throws {
        let folder = try TemporaryDirectory("times")
        let path = folder.file("times")
        let index = TimeIndex(path: path, limit: 100)
        index.note(columns: 80, rows: 24, from: 0)
        for number in 1...10_000 { index.note(end: Int64(number), at: at(Int64(number) * 2)) }
        let entries = index.entries
        #expect(entries.count <= 101)
        #expect(entries.first == .size(from: 0, columns: 80, rows: 24))
        #expect(entries.last == .bytes(end: 10_000, at: at(20_000)))
        var before: Int64 = 0
        for case .bytes(let end, let at) in entries {
            #expect(end > before)
            #expect(at.milliseconds == end * 2)
            before = end
        }
    }
}
