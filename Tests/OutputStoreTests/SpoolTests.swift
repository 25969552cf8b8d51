import Base
import Glibc
import OpenSSL
import OutputStore
import TestSupport
import Testing

@Suite struct SpoolTests {
    let scratch: TemporaryDirectory
    let key = makeKey()

    init() throws { scratch = try TemporaryDirectory("output") }

    /// Feeds `bytes` through a pipe, opening the spool anew after every `reopen` bytes.
    private func feed(_ bytes: [UInt8], limits: SpoolLimits, reopen: Int) throws -> Spool {
        let pipe = try NamedPipe()
        defer { close(pipe.read) }
        var spool = try Spool(root: scratch.path, key: key, limits: limits)
        var sinceReopen = 0
        for start in stride(from: 0, to: bytes.count, by: 60_000) {
            let part = Array(bytes[start..<min(start + 60_000, bytes.count)])
            try pipe.fill(part)
            while case .moved = try spool.receive(fromPipe: pipe.read) {}
            sinceReopen += part.count
            if sinceReopen > reopen {
                spool = try Spool(root: scratch.path, key: key, limits: limits)
                sinceReopen = 0
            }
        }
        pipe.endWriting()
        #expect(try spool.receive(fromPipe: pipe.read) == .ended)
        return spool
    }

    @Test func `short output is stored whole, with its digest`() throws {
        let bytes = pattern(0..<300_000)
        let spool = try feed(bytes, limits: SpoolLimits(segmentBytes: 65_536), reopen: 100_000)
        #expect(spool.length == 300_000)
        let mark = try spool.finish()
        #expect(mark.sha256 == Hex.encode(SHA256.hash(bytes)))
        #expect(!mark.isTruncated)
        #expect(try spool.read(from: 0, upTo: 1 << 20) == bytes)
        let again = try Spool(root: scratch.path, key: key)
        #expect(again.mark == mark)
        #expect(try again.read(from: 299_990, upTo: 100) == Array(bytes.suffix(10)))
    }

    @Test(arguments: [1_000_000, 150_000, 0])
    func `past the cap the head and the tail stay, and the digest of everything`(reopen: Int) throws {
        let limits = SpoolLimits(headBytes: 200_000, tailBytes: 10_000, segmentBytes: 65_536, slackBytes: 100_000)
        let bytes = pattern(0..<2_500_000)
        let spool = try feed(bytes, limits: limits, reopen: reopen)
        #expect(spool.totalBytes == 2_500_000)
        #expect(spool.length == 200_000)
        let mark = try spool.finish()
        #expect(
            mark
                == OutputMark(
                    totalBytes: 2_500_000,
                    storedHead: 200_000,
                    storedTail: 10_000,
                    sha256: Hex.encode(SHA256.hash(bytes))
                )
        )
        #expect(mark.isTruncated)
        let stored = try spool.read(from: 0, upTo: 1 << 20)
        #expect(stored == Array(bytes.prefix(200_000) + bytes.suffix(10_000)))
        #expect(try spool.read(from: 199_995, upTo: 10) == Array(stored[199_995..<200_005]))
        #expect(try diskBytes() < 200_000 + 10_000 + 100_000 + 4 * 65_536)
    }

    private func diskBytes() throws -> Int {
        var total = 0
        let path = "\(scratch.path)/\(key.executionID)/1/stdout"
        let directory = try #require(opendir(path))
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            if name.utf8.first != UInt8(ascii: "."), stat("\(path)/\(name)", &status) == 0 { total += status.st_size }
        }
        return total
    }

    @Test func `acknowledged files are removed and the digest stays true across restarts`() throws {
        let limits = SpoolLimits(segmentBytes: 65_536)
        let bytes = pattern(0..<1_000_000)
        let pipe = try NamedPipe()
        var spool = try Spool(root: scratch.path, key: key, limits: limits)
        for start in stride(from: 0, to: bytes.count, by: 50_000) {
            try pipe.fill(Array(bytes[start..<start + 50_000]))
            while case .moved = try spool.receive(fromPipe: pipe.read) {}
            try spool.acknowledge(upTo: spool.length)
            spool = try Spool(root: scratch.path, key: key, limits: limits)
        }
        pipe.endWriting()
        #expect(try spool.receive(fromPipe: pipe.read) == .ended)
        #expect(try diskBytes() < 3 * 65_536)
        #expect(throws: BerthError.self) { try spool.read(from: 0, upTo: 10) }
        #expect(try spool.finish().sha256 == Hex.encode(SHA256.hash(bytes)))
        try spool.remove()
        close(pipe.read)
    }

    @Test func `what a spool holds is accepted by a server's store`() throws {
        let limits = SpoolLimits(headBytes: 200_000, tailBytes: 10_000, segmentBytes: 65_536)
        let spool = try feed(pattern(0..<900_000), limits: limits, reopen: 1_000_000)
        let mark = try spool.finish()
        let store = SegmentStore(root: "\(scratch.path)/server")
        try store.append(key, at: 0, try spool.read(from: 0, upTo: 150_000))
        try store.append(key, at: 150_000, try spool.read(from: 150_000, upTo: 1 << 20))
        try store.finish(key, mark: mark)
        #expect(try store.mark(key) == mark)
    }

    @Test func `an empty stream makes no file and ends with the digest of nothing`() throws {
        let pipe = try NamedPipe()
        let spool = try Spool(root: scratch.path, key: key)
        #expect(try spool.receive(fromPipe: pipe.read) == .empty)
        pipe.endWriting()
        #expect(try spool.receive(fromPipe: pipe.read) == .ended)
        let mark = try spool.finish()
        #expect(mark.totalBytes == 0)
        #expect(mark.sha256 == Hex.encode(SHA256.hash([])))
        #expect(access("\(scratch.path)/\(key.executionID)", F_OK) != 0)
        #expect(try Spool(root: scratch.path, key: key).finish() == mark)
        try spool.remove()
        close(pipe.read)
    }

    @Test func `a lost file is noticed`() throws {
        _ = try feed(pattern(0..<300_000), limits: SpoolLimits(segmentBytes: 65_536), reopen: 1_000_000)
        unlink("\(scratch.path)/\(key.executionID)/1/stdout/00000000000000065536")
        #expect(throws: BerthError.self) { try Spool(root: scratch.path, key: key) }
    }

    @Test(.timeLimit(.minutes(1))) func `growth wakes the sender and the end gives the mark`() async throws {
        let pipe = try NamedPipe()
        let spool = try Spool(root: scratch.path, key: key)
        async let growth = spool.waitForGrowth(beyond: 0)
        try pipe.fill([1, 2, 3])
        #expect(try spool.receive(fromPipe: pipe.read) == .moved(3))
        #expect(try await growth == .grown(3))
        #expect(try spool.receive(fromPipe: pipe.read) == .empty)
        async let end = spool.waitForGrowth(beyond: 3)
        pipe.endWriting()
        #expect(try spool.receive(fromPipe: pipe.read) == .ended)
        let mark = try spool.finish()
        #expect(try await end == .finished(mark))
        close(pipe.read)
    }
}
