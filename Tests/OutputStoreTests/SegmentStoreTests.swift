import Base
import Glibc
import OpenSSL
import OutputStore
import Synchronization
import TestSupport
import Testing

@Suite struct SegmentStoreTests {
    let scratch: TemporaryDirectory
    let key = makeKey()

    init() throws { scratch = try TemporaryDirectory("output") }

    private func mark(_ bytes: [UInt8]) -> OutputMark {
        OutputMark(
            totalBytes: Int64(bytes.count),
            storedHead: Int64(bytes.count),
            storedTail: 0,
            sha256: Hex.encode(SHA256.hash(bytes))
        )
    }

    @Test func `appended bytes are read back across segments and by a new store`() throws {
        let bytes = pattern(0..<9_500_000)
        let store = SegmentStore(root: scratch.path)
        var offset = 0
        for size in [1, 4095, 3_000_000, 1_194_208, 5_000_000, 301_696] {
            #expect(
                try store.append(key, at: Int64(offset), Array(bytes[offset..<offset + size])) == Int64(offset + size)
            )
            offset += size
        }
        #expect(offset == bytes.count)
        let again = SegmentStore(root: scratch.path)
        #expect(try again.length(key) == Int64(bytes.count))
        #expect(try again.read(key, from: 0, upTo: bytes.count) == bytes)
        #expect(try again.read(key, from: 4_194_300, upTo: 10) == Array(bytes[4_194_300..<4_194_310]))
        #expect(try again.read(key, from: Int64(bytes.count), upTo: 10).isEmpty)
        #expect(throws: BerthError.self) { try again.read(key, from: Int64(bytes.count) + 1, upTo: 10) }
    }

    @Test func `a repeated append stores nothing twice`() throws {
        let store = SegmentStore(root: scratch.path)
        let bytes = pattern(0..<1000)
        #expect(try store.append(key, at: 0, bytes) == 1000)
        #expect(try store.append(key, at: 0, bytes) == 1000)
        #expect(try store.append(key, at: 500, pattern(500..<1500)) == 1500)
        #expect(try store.read(key, from: 0, upTo: 5000) == pattern(0..<1500))
    }

    @Test func `a gap is refused by name and changes nothing`() throws {
        let store = SegmentStore(root: scratch.path)
        try store.append(key, at: 0, [1, 2, 3])
        let error = #expect(throws: BerthError.self) { try store.append(key, at: 4, [5]) }
        #expect(error?.code == .outputGap)
        #expect(error?.remedy == "send again from 3")
        #expect(try store.length(key) == 3)
    }

    @Test func `a full disk is named and leaves the stored prefix valid`() throws {
        let room = Mutex(5_000_000)
        let files = FileCalls { file, bytes, offset in
            let granted = room.withLock { room in
                let granted = min(room, bytes.count)
                room -= granted
                return granted
            }
            return granted == 0 ? -Int(ENOSPC) : pwrite(file, bytes.baseAddress, granted, Int(offset))
        }
        let store = SegmentStore(root: scratch.path, files: files)
        let bytes = pattern(0..<6_000_000)
        let error = #expect(throws: BerthError.self) { try store.append(key, at: 0, bytes) }
        #expect(error?.code == .diskFull)
        #expect(try store.length(key) == 5_000_000)
        #expect(try store.read(key, from: 0, upTo: 6_000_000) == Array(bytes[..<5_000_000]))
        room.withLock { $0 = 10_000_000 }
        #expect(try store.append(key, at: 0, bytes) == 6_000_000)
        #expect(try store.read(key, from: 0, upTo: 6_000_000) == bytes)
    }

    @Test func `a mark ends the stream once and only when it fits the bytes`() throws {
        let store = SegmentStore(root: scratch.path)
        let bytes = pattern(0..<100_000)
        try store.append(key, at: 0, bytes)
        var wrong = mark(bytes)
        wrong.sha256 = Hex.encode(SHA256.hash([]))
        #expect(throws: BerthError.self) { try store.finish(key, mark: wrong) }
        #expect(throws: BerthError.self) { try store.finish(key, mark: mark(pattern(0..<99_999))) }
        try store.finish(key, mark: mark(bytes))
        try store.finish(key, mark: mark(bytes))
        #expect(throws: BerthError.self) { try store.append(key, at: 100_000, [1]) }
        #expect(try store.append(key, at: 99_000, pattern(99_000..<100_000)) == 100_000)
        #expect(try SegmentStore(root: scratch.path).mark(key) == mark(bytes))
    }

    @Test func `an empty stream can end`() throws {
        let store = SegmentStore(root: scratch.path)
        try store.finish(key, mark: mark([]))
        #expect(try store.mark(key) == mark([]))
        #expect(try store.read(key, from: 0, upTo: 10).isEmpty)
    }

    @Test(.timeLimit(.minutes(1))) func `many watchers are woken by growth, by the end and by cancellation`()
        async throws
    {
        let store = SegmentStore(root: scratch.path)
        let key = key
        try store.append(key, at: 0, [1])
        #expect(try await store.waitForGrowth(key, beyond: 0) == .grown(1))
        try await withThrowingTaskGroup(of: Growth.self) { group in
            for _ in 0..<500 { group.addTask { try await store.waitForGrowth(key, beyond: 1) } }
            group.addTask {
                try store.append(key, at: 1, [2, 3])
                return .grown(3)
            }
            for try await growth in group { #expect(growth == .grown(3)) }
        }
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await store.waitForGrowth(key, beyond: 3)) == nil }
            group.cancelAll()
            #expect(await group.next() == true)
        }
        async let end = store.waitForGrowth(key, beyond: 3)
        try store.finish(key, mark: mark([1, 2, 3]))
        #expect(try await end == .finished(mark([1, 2, 3])))
    }

    @Test func `removing an execution removes every stream and wakes its watchers`() async throws {
        let store = SegmentStore(root: scratch.path)
        let other = OutputKey(executionID: key.executionID, attempt: 2, stream: .stderr)
        try store.append(key, at: 0, [1])
        try store.append(other, at: 0, [1, 2])
        try store.remove(execution: key.executionID)
        #expect(try store.length(key) == 0)
        #expect(try store.length(other) == 0)
        #expect(access("\(scratch.path)/\(key.executionID)", F_OK) != 0)
        try store.remove(execution: key.executionID)
    }

    @Test func `a thousand streams share a store`() throws {
        let store = SegmentStore(root: scratch.path)
        let keys = (0..<1000).map { _ in makeKey() }
        for round in 0..<3 {
            for key in keys { try store.append(key, at: Int64(round), [UInt8(round)]) }
        }
        for key in keys { #expect(try store.read(key, from: 0, upTo: 10) == [0, 1, 2]) }
    }
}
