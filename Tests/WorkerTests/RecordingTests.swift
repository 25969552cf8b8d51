import Base
import FoundationEssentials
import OutputStore
import Terminals
import TestSupport
import Testing

/// Recordings of terminals, read by asciinema itself.
@Suite struct RecordingTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    private func recording(_ bytes: [UInt8], kept: Range<Int64>, _ entries: [TimeIndex.Entry]) throws -> [UInt8] {
        var reader = RecordingReader(
            title: "a \"name\"",
            command: "sh -c 'x'",
            size: (80, 24),
            startedAt: at(1_000_000),
            kept: kept,
            entries: entries
        ) { offset, count in
            (offset, Array(bytes[Int(offset)..<min(bytes.count, Int(offset) + count)]))
        }
        var all: [UInt8] = []
        while let lines = try reader.next() { all += lines }
        return all
    }

    private func cat(_ cast: [UInt8]) async throws -> String {
        let folder = try TemporaryDirectory("cast")
        try Data(cast).write(to: URL(filePath: folder.file("x.cast")))
        return try await check(
            ["python3", "-m", "asciinema", "cat", folder.file("x.cast")],
            environment: ChildProcess.plainEnvironment.merging([
                "PYTHONPATH": BerthCache.directory + "/python/asciinema.whl", "LC_ALL": "C.UTF-8",
            ]) { $1 }
        )
    }

    @Test func `what was shown comes out at its times, with characters that were cut in two`() async throws {
        let text = "one é \u{1F600} two\r\nthree"
        let bytes = Array(text.utf8)
        // In the middle of both characters.
        let entries: [TimeIndex.Entry] = [
            .size(from: 0, columns: 100, rows: 30), .bytes(end: 5, at: at(1_000_500)),
            .bytes(end: 9, at: at(1_001_000)), .size(from: 9, columns: 90, rows: 20),
            .bytes(end: Int64(bytes.count) - 5, at: at(1_002_000)),
        ]
        let cast = try recording(bytes, kept: 0..<Int64(bytes.count), entries)
        let lines = String(decoding: cast, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines.first?.contains(#""width":100,"height":30,"timestamp":1000"#) == true)
        #expect(lines.contains(#"[0.500,"o","one "]"#))
        #expect(lines.contains(#"[1.000,"r","90x20"]"#))
        #expect(lines.last == #"[2.000,"o","three"]"#)
        #expect(try await cat(cast) == text)
    }

    @Test func `bytes that are kept no longer are marked, and what is not UTF-8 is replaced`() async throws {
        let bytes: [UInt8] = Array("gone-kept ".utf8) + [0xFF, 0xC3]
        let cast = try recording(
            bytes,
            kept: 5..<Int64(bytes.count),
            [.bytes(end: 5, at: at(1_005_000)), .bytes(end: 10, at: at(1_006_000))]
        )
        let lines = String(decoding: cast, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines.first?.contains(#""timestamp":1005"#) == true)
        #expect(lines.contains(#"[0.000,"m","bytes 0 to 5 are kept no longer"]"#))
        #expect(lines.contains(#"[1.000,"o","kept "]"#))
        #expect(try await cat(cast) == "kept \u{FFFD}\u{FFFD}")
    }

    @Test func `a terminal without times is one event, and an empty one none`() throws {
        let cast = try recording(Array("all".utf8), kept: 0..<3, [])
        #expect(String(decoding: cast, as: UTF8.self).hasSuffix("\n[0.000,\"o\",\"all\"]\n"))
        #expect(String(decoding: try recording([], kept: 0..<0, []), as: UTF8.self).split(separator: "\n").count == 1)
    }

    @Test(arguments: [1, 2, 3, 5, 7])
    func `cut anywhere, the text is the same`(step: Int) async throws {
        let text = String(repeating: "aé€\u{1F600}", count: 20)
        let bytes = Array(text.utf8)
        let entries = stride(from: step, to: bytes.count, by: step).map {
            TimeIndex.Entry.bytes(end: Int64($0), at: at(1_000_000 + Int64($0)))
        }
        let cast = try recording(bytes, kept: 0..<Int64(bytes.count), entries)
        #expect(!cast.isEmpty)
        #expect(try await cat(cast) == text)
    }
}
