internal import Base
internal import EventLoop

/// A connection that has left HTTP: bytes both ways, each way with an end of its own. While nobody reads, the peer is
/// held back; a writer waits while the peer does not read.
///
/// `@unchecked Sendable`: state is touched only on the loop; the public methods go there.
public final class UpgradedStream: @unchecked Sendable {
    /// The answer that began it.
    public let status: Int
    public let headers: HTTPHeaders
    private let stream: ByteStream
    private let buffer: BodyBuffer
    private var hasFinished = false

    init(status: Int, headers: HTTPHeaders, stream: ByteStream, early: [UInt8]) {
        self.status = status
        self.headers = headers
        self.stream = stream
        buffer = BodyBuffer(loop: stream.loop)
        stream.sink = Receiver(stream: stream, buffer: buffer)
        buffer.onDemand { [stream] in stream.resumeReading() }
        early.withUnsafeBytes { buffer.append($0) }
        if !buffer.isFull { stream.resumeReading() }
    }

    deinit {
        let stream = stream
        stream.loop.execute { stream.close() }
    }

    /// The next bytes; nil when the peer sends no more. One caller at a time.
    public func read() async throws -> [UInt8]? { try await buffer.next() }

    /// Returns when more may be written.
    public func write(_ bytes: [UInt8]) async throws {
        try await stream.loop.suspend { [self] (waiter: Waiter<Void>) in
            guard stream.isOpen, !hasFinished else {
                waiter.resume(throwing: Socket.closedError)
                return
            }
            stream.write(bytes)
            stream.whenDrained(waiter)
        }
    }

    /// Says that no more comes from here; reading goes on.
    public func finishWriting() async throws {
        try await stream.loop.run { [self] in
            hasFinished = true
            stream.endOutput()
        }
    }

    /// Ends both ways at once.
    public func close() { stream.loop.execute { [stream] in stream.close() } }

    private final class Receiver: ByteStreamSink {
        private let stream: ByteStream
        private let buffer: BodyBuffer

        init(stream: ByteStream, buffer: BodyBuffer) {
            self.stream = stream
            self.buffer = buffer
        }

        func streamReceived(_ bytes: UnsafeRawBufferPointer) {
            buffer.append(bytes)
            if buffer.isFull { stream.pauseReading() }
        }

        func streamInputEnded() { buffer.finish() }

        func streamClosed(_ error: BerthError?) { buffer.fail(error ?? Socket.closedError) }
    }
}
