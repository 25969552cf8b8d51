import Base
public import Domain
public import OutputStore

/// Execution output in segment files.
public struct SegmentOutput: OutputStoring {
    private let store: SegmentStore

    public init(_ store: SegmentStore) { self.store = store }

    public func length(_ key: AttemptKey, _ stream: Domain.OutputStream) async throws -> Int64 {
        try store.length(key.stored(stream))
    }

    public func append(
        _ key: AttemptKey,
        _ stream: Domain.OutputStream,
        at offset: Int64,
        _ bytes: ArraySlice<UInt8>
    ) async throws -> Int64 {
        try store.append(key.stored(stream), at: offset, Array(bytes))
    }

    public func read(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws
        -> [UInt8]
    {
        let key = key.stored(stream)
        guard try store.length(key) > offset else { return [] }
        return try store.read(key, from: offset, upTo: limit)
    }

    public func place(_ key: AttemptKey, _ stream: Domain.OutputStream) -> String { store.path(key.stored(stream)) }
}

extension AttemptKey {
    func stored(_ stream: Domain.OutputStream) -> OutputKey {
        let stream: OutputStore.OutputStream =
            switch stream {
            case .stdout: .stdout
            case .stderr: .stderr
            }
        return OutputKey(executionID: executionID, attempt: attempt, stream: stream)
    }
}
