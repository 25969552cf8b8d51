internal import Base
internal import EventLoop

/// The body of a request or a response as it comes in. While nobody takes it the socket is not read; when the
/// connection ends before the body does, reading throws. It may outlive its connection, and a response's body that is
/// dropped half-read closes it.
public final class IncomingBody: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    private let buffer: BodyBuffer
    private let decoder: BodyDecoder?

    init(_ buffer: BodyBuffer, decoder: BodyDecoder? = nil) {
        self.buffer = buffer
        self.decoder = decoder
    }

    deinit {
        let buffer = buffer
        buffer.loop.execute { buffer.abandon() }
    }

    /// The next bytes, nil at the end. One caller at a time.
    public func next() async throws -> [UInt8]? {
        guard let decoder else { return try await buffer.next() }
        while true {
            if let bytes = try decoder.next() { return bytes }
            guard let bytes = try await buffer.next() else {
                try decoder.finish()
                return nil
            }
            decoder.take(bytes)
        }
    }

    /// The whole body; `tooLarge` if it is longer than `limit` bytes.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        while let chunk = try await next() {
            guard all.count + chunk.count <= limit else {
                throw BerthError(.tooLarge, "the body is longer than \(limit) bytes")
            }
            if all.isEmpty { all = chunk } else { all.append(contentsOf: chunk) }
        }
        return all
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let body: IncomingBody
        public func next() async throws -> [UInt8]? { try await body.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: self) }
}
