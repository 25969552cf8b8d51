import Base

/// A fenced write found its row changed since it was read. Several servers on one database can do that to each other;
/// reading again and deciding again is the answer.
public struct MovedRow: Error {
    let what: String

    public init(_ what: String) { self.what = what }
}

/// Runs `body`, and again from its reading on while rows move under it. Throws `stale` when that does not end.
public func withMovingRows<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    var moved = MovedRow("row")
    for _ in 0..<8 {
        do { return try await body() } catch let error as MovedRow { moved = error }
    }
    throw BerthError(.stale, "\(moved.what) is changed by others all the time", isRetryable: true)
}
