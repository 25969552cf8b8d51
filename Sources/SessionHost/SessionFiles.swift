public import Base
public import OutputStore

/// The files of a session's process, and what its input waits for.
///
/// `@unchecked Sendable`: touched only on the worker's loop.
public final class SessionFiles: @unchecked Sendable {
    public let run: Int
    public let output: Scrollback
    public let errors: Scrollback
    /// Lines up to this number were written by this worker.
    public var written: Int64 = 0
    /// The output up to the next newline belongs to a line that is passed over.
    public var isPassingOver = false
    /// Something is in the outbox.
    public let outboxFilled: AsyncStream<Void>
    private let tellOutbox: AsyncStream<Void>.Continuation
    /// Something of the output was read.
    public let outputRead: AsyncStream<Void>
    private let tellRead: AsyncStream<Void>.Continuation

    private static let keptErrors: Int64 = 128 << 10

    public init(run: Int, directory: String) throws(BerthError) {
        self.run = run
        output = try Scrollback(path: "\(directory)/\(run)-output")
        errors = try Scrollback(path: "\(directory)/\(run)-errors", limit: Self.keptErrors, segmentBytes: 64 << 10)
        (outboxFilled, tellOutbox) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (outputRead, tellRead) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    public func noteOutbox() { tellOutbox.yield() }
    public func noteRead() { tellRead.yield() }

    /// The end of standard error.
    public var lastErrors: String {
        let end = errors.kept.upperBound
        let bytes = (try? errors.read(from: max(0, end - 8192), upTo: 8192).bytes) ?? []
        return String(decoding: bytes, as: UTF8.self)
    }

    public func remove() {
        try? output.remove()
        try? errors.remove()
    }
}
