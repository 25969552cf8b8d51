import Base
import Domain
import FoundationEssentials
import Glibc
import OpenSSL
import TestSupport
import Testing
import WorkerProtocol

@testable import Executions

/// What a stored stream was at its end is what is read of it, or the reading is refused.
@Suite struct DamagedOutputTests {
    private struct Stored: Sendable {
        var key: AttemptKey
        var bytes: [UInt8]
        /// Its segment files, in order, with their sizes.
        var segments: [(path: String, size: Int)]
    }

    private static func flip(_ path: String, at place: Int) throws {
        let file = open(path, O_RDWR)
        defer { close(file) }
        var byte: UInt8 = 0
        try #require(pread(file, &byte, 1, place) == 1)
        byte ^= 0x10
        try #require(pwrite(file, &byte, 1, place) == 1)
    }

    /// An execution that wrote `written` and of which at most `limit` bytes, and `tail` from its end, are stored.
    private static func store(
        _ written: [UInt8],
        limit: Int = 1 << 30,
        tail: Int = 0,
        _ worker: ScriptedWorker,
        _ plane: ControlPlane
    ) async throws -> Stored {
        var request = plane.command("write")
        request.spec.caps.maxOutputBytes = Int64(limit)
        let id = try await plane.executions.create(request).execution.id
        let key = AttemptKey(id, 1)
        let workerID = try #require(plane.executions.live[key]?.workerID)
        let (head, end) = (written.prefix(limit), written.suffix(tail))
        var offset: Int64 = 0
        for start in stride(from: 0, to: head.count, by: 1 << 20) {
            let part = head.dropFirst(start).prefix(1 << 20)
            offset = try await plane.executions.appendOutput(key, .stdout, worker: workerID, at: offset, part)
        }
        if tail > 0 {
            try await plane.executions.appendTail(
                key,
                .stdout,
                worker: workerID,
                at: Int64(written.count - tail),
                end
            )
        }
        var report = ExecutionServiceTests.report([])
        report.stdout = OutputMark(
            totalBytes: Int64(written.count),
            headBytes: Int64(head.count),
            tailBytes: Int64(tail),
            sha256: Hex.encode(SHA256.hash(written))
        )
        try await plane.executions.completed(key, worker: workerID, report, startedAt: plane.executions.time.now)
        let directory = plane.executions.output.place(key, .stdout)
        let segments = try FileManager.default.contentsOfDirectory(atPath: directory).sorted().map { name in
            let path = "\(directory)/\(name)"
            return (path: path, size: FileManager.default.contents(atPath: path)?.count ?? 0)
        }
        return Stored(key: key, bytes: Array(head + end), segments: segments)
    }

    private static func read(_ stored: Stored, _ plane: ControlPlane) async throws -> [UInt8] {
        // A process that has not looked at it before.
        let executions = plane.restarted(time: SystemTime()).executions
        return try await executions.readOutput(stored.key, .stdout, from: 0, limit: stored.bytes.count).bytes
    }

    private static func expectEveryFlipNoticed(_ stored: Stored, _ plane: ControlPlane) async throws {
        #expect(try await read(stored, plane) == stored.bytes)
        for (path, size) in stored.segments {
            for place in [0, size / 2, size - 1] {
                try flip(path, at: place)
                let error = await #expect(throws: BerthError.self) { _ = try await read(stored, plane) }
                #expect(error?.code == .outputDamaged, "byte \(place) of \(path)")
                try flip(path, at: place)
            }
        }
        #expect(try await read(stored, plane) == stored.bytes)
    }

    @Test func `an altered byte is noticed in every segment of a stream`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let bytes = (0..<(9 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let stored = try await Self.store(bytes, worker, plane)
            #expect(stored.segments.count == 3)
            try await Self.expectEveryFlipNoticed(stored, plane)
        }
    }

    @Test func `an altered byte is noticed in what is stored of a capped stream, its end included`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let stored = try await Self.store(bytes, limit: 1 << 20, tail: 1000, worker, plane)
            #expect(stored.bytes.count == (1 << 20) + 1000)
            try await Self.expectEveryFlipNoticed(stored, plane)
        }
    }

    @Test func `an altered byte is noticed in a capped stream that is too long to be read before its end`() async throws
    {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let limit = 64 << 20
            let bytes = [UInt8](repeating: 7, count: limit + (1 << 20))
            let stored = try await Self.store(bytes, limit: limit, tail: 1000, worker, plane)
            await plane.executions.makeLateDigests()
            #expect(try await Self.read(stored, plane) == stored.bytes)
            let last = try #require(stored.segments.last)
            try Self.flip(last.path, at: last.size / 2)
            let error = await #expect(throws: BerthError.self) { _ = try await Self.read(stored, plane) }
            #expect(error?.code == .outputDamaged)
        }
    }
}
