import Base
import Domain
import Executions
import OutputStore
import TestSupport
import Testing

/// A store of execution output. Another one joins the suite by joining ``all``.
struct OutputUnderTest: Sendable, CustomTestStringConvertible {
    typealias Open = @Sendable () -> any OutputStoring

    let testDescription: String
    /// An empty store for the length of the closure; each call of `open` is one more server's hold on it.
    private let opened: @Sendable (@Sendable (Open) async throws -> Void) async throws -> Void
    /// Whether servers that run at the same time may share it.
    let isShared: Bool

    static let all = [
        OutputUnderTest(
            testDescription: "segment files",
            opened: { body in
                try await withTemporaryDirectory { directory in
                    try await body { SegmentOutput(SegmentStore(root: directory)) }
                }
            },
            isShared: false
        ),
        OutputUnderTest(
            testDescription: "rows of SQLite",
            opened: { body in
                try await withDatabase { database in
                    try await body { DatabaseOutput(database) }
                }
            },
            isShared: true
        ),
        OutputUnderTest(
            testDescription: "rows of PostgreSQL",
            opened: { body in
                try await withDatabase(on: .postgres) { database in
                    try await body { DatabaseOutput(database) }
                }
            },
            isShared: true
        ),
    ]

    func open(_ body: @Sendable (Open) async throws -> Void) async throws { try await opened(body) }

    static func key() -> AttemptKey {
        AttemptKey(IDSource(time: SystemTime(), randomness: SystemRandomness()).make(), 1)
    }

    /// Bytes whose value depends on their offset, so that a loss or a repetition shows.
    static func pattern(_ range: Range<Int>) -> [UInt8] {
        range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 8) &* 7 &+ ($0 >> 16)) }
    }
}
