import Base
import Domain
import Executions
import OutputStore
import Testing

/// What executions rely on, of every store of output.
@Suite struct OutputContractTests {
    @Test(arguments: OutputUnderTest.all)
    func `appended bytes are read back by another server, from every offset`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let output = open()
            let key = OutputUnderTest.key()
            let bytes = OutputUnderTest.pattern(0..<700_000)
            var offset = 0
            for size in [1, 4095, 300_000, 195_904, 200_000] {
                let part = bytes[offset..<offset + size]
                #expect(try await output.append(key, .stdout, at: Int64(offset), part) == Int64(offset + size))
                offset += size
            }
            let other = open()
            #expect(try await other.length(key, .stdout) == Int64(bytes.count))
            #expect(try await other.read(key, .stdout, from: 0, limit: 1 << 20) == bytes)
            for (from, limit) in [(0, 1), (1, 4096), (4095, 2), (299_999, 400_000), (699_999, 10)] {
                let part = try await other.read(key, .stdout, from: Int64(from), limit: limit)
                #expect(part == Array(bytes[from..<min(bytes.count, from + limit)]))
            }
            for offset in [Int64(bytes.count), Int64(bytes.count) + 1, .max] {
                #expect(try await other.read(key, .stdout, from: offset, limit: 10).isEmpty)
            }
        }
    }

    @Test(arguments: OutputUnderTest.all)
    func `streams and attempts are apart, and an unknown one is empty`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let output = open()
            let key = OutputUnderTest.key()
            let second = AttemptKey(key.executionID, 2)
            _ = try await output.append(key, .stdout, at: 0, [1, 2])
            _ = try await output.append(key, .stderr, at: 0, [3])
            _ = try await output.append(second, .stdout, at: 0, [4, 5, 6])
            #expect(try await output.read(key, .stdout, from: 0, limit: 9) == [1, 2])
            #expect(try await output.read(key, .stderr, from: 0, limit: 9) == [3])
            #expect(try await output.read(second, .stdout, from: 0, limit: 9) == [4, 5, 6])
            #expect(try await output.length(second, .stderr) == 0)
            #expect(try await output.read(OutputUnderTest.key(), .stdout, from: 0, limit: 9).isEmpty)
        }
    }

    @Test(arguments: OutputUnderTest.all)
    func `a repeated append stores nothing twice, and a gap is refused by name`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let output = open()
            let key = OutputUnderTest.key()
            let bytes = OutputUnderTest.pattern(0..<1500)
            _ = try await output.append(key, .stdout, at: 0, bytes[..<1000])
            #expect(try await output.append(key, .stdout, at: 0, bytes[..<1000]) == 1000)
            #expect(try await output.append(key, .stdout, at: 500, bytes[500...]) == 1500)
            for offset in [1501, Int64.max, -1] {
                let error = await #expect(throws: BerthError.self) {
                    try await output.append(key, .stdout, at: offset, [1])
                }
                #expect(error?.code == .outputGap)
            }
            #expect(try await output.read(key, .stdout, from: 0, limit: 5000) == bytes)
        }
    }

    @Test(arguments: OutputUnderTest.all)
    func `many streams are appended to at the same time, each in its order`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let output = open()
            let keys = (0..<40).map { _ in OutputUnderTest.key() }
            try await withThrowingDiscardingTaskGroup { group in
                for (seed, key) in keys.enumerated() {
                    group.addTask {
                        for round in 0..<20 {
                            let bytes = OutputUnderTest.pattern(seed + round * 100..<seed + round * 100 + 100)
                            _ = try await output.append(key, .stdout, at: Int64(round * 100), bytes[...])
                        }
                    }
                }
            }
            for (seed, key) in keys.enumerated() {
                let bytes = try await output.read(key, .stdout, from: 0, limit: 1 << 20)
                #expect(bytes == OutputUnderTest.pattern(seed..<seed + 2000))
            }
        }
    }

    @Test(arguments: OutputUnderTest.all.filter(\.isShared))
    func `two servers that store the same stream keep it whole`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let (first, second) = (open(), open())
            let key = OutputUnderTest.key()
            let bytes = OutputUnderTest.pattern(0..<20_000)
            try await withThrowingDiscardingTaskGroup { group in
                for (output, size) in [(first, 70), (second, 110)] {
                    group.addTask {
                        var offset = 0
                        while offset < bytes.count {
                            let end = min(bytes.count, offset + size)
                            let length = try await output.append(key, .stdout, at: Int64(offset), bytes[offset..<end])
                            offset = Int(length)
                        }
                    }
                }
            }
            for output in [first, second, open()] {
                #expect(try await output.read(key, .stdout, from: 0, limit: 1 << 20) == bytes)
            }
            // What the other server stored shows at once, and a stale idea of the length does no harm.
            _ = try await first.append(key, .stdout, at: 20_000, [1, 2])
            #expect(try await second.append(key, .stdout, at: 20_000, [1, 2, 3]) == 20_003)
            #expect(try await first.read(key, .stdout, from: 20_000, limit: 9) == [1, 2, 3])
        }
    }

    @Test(arguments: OutputUnderTest.all.filter(\.isShared))
    func `a caller that gives up takes nobody's bytes with it`(store: OutputUnderTest) async throws {
        try await store.open { open in
            let output = open()
            let keys = (0..<50).map { _ in OutputUnderTest.key() }
            await withTaskGroup(of: Void.self) { group in
                for key in keys { group.addTask { _ = try? await output.append(key, .stdout, at: 0, [7]) } }
                group.cancelAll()
            }
            for key in keys {
                let length = try await output.append(key, .stdout, at: 0, [7])
                #expect(length == 1)
            }
        }
    }
}
