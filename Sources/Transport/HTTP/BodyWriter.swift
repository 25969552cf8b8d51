internal import Base
internal import EventLoop

/// Writes the body of a response or a request while the peer takes it.
///
/// `@unchecked Sendable`: state is touched only on the loop; the public methods go there.
public final class BodyWriter: @unchecked Sendable {
    enum Framing {
        case chunked
        case length(remaining: Int)
        case untilClose
        /// The answer to HEAD: nothing is sent.
        case none
    }

    private let stream: ByteStream
    private var framing: Framing
    private var isFinished = false
    private(set) var lastWrite: Uptime
    /// Compresses what is put, before it is framed.
    var gzip: GzipWriter?

    init(stream: ByteStream, framing: Framing) {
        self.stream = stream
        self.framing = framing
        lastWrite = stream.loop.now
    }

    var loop: EventLoop { stream.loop }

    /// Returns when the peer has taken enough for more; throws once it is gone.
    public func write(_ bytes: [UInt8]) async throws {
        let stream = stream
        if stream.loop.isCurrent {
            try put(bytes)
            if !stream.isCongested { return }
            try await stream.drained()
        } else {
            try await stream.loop.suspend { waiter in
                do {
                    try self.put(bytes)
                    self.stream.whenDrained(waiter)
                } catch {
                    waiter.resume(throwing: error)
                }
            }
        }
    }

    /// Ends the connection with the body unfinished. On any thread.
    func close() {
        let stream = stream
        stream.loop.execute { stream.close(Socket.closedError) }
    }

    public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

    /// On the loop.
    func put(_ bytes: [UInt8]) throws(BerthError) {
        guard stream.isOpen, !isFinished else { throw Socket.closedError }
        try frame(gzip?.encode(bytes) ?? bytes)
    }

    private func frame(_ bytes: [UInt8]) throws(BerthError) {
        guard !bytes.isEmpty else { return }
        lastWrite = stream.loop.now
        switch framing {
        case .none: return
        case .untilClose: stream.write(bytes)
        case .chunked:
            stream.write(Array((String(bytes.count, radix: 16) + "\r\n").utf8))
            stream.write(bytes)
            stream.write("\r\n")
        case .length(let remaining):
            guard bytes.count <= remaining else {
                throw BerthError(.internal, "a body is \(bytes.count - remaining) bytes longer than announced")
            }
            framing = .length(remaining: remaining - bytes.count)
            stream.write(bytes)
        }
    }

    /// Puts the whole block or, with more than `room` bytes unsent or at the end, nothing of it. On the loop.
    func offer(_ block: EventBlock, room: Int) -> Bool {
        guard hasRoom(room) else { return false }
        put(block)
        return true
    }

    /// On the loop.
    func hasRoom(_ room: Int) -> Bool { stream.isOpen && !isFinished && stream.unsentBytes <= room }

    /// Returns when no more than `room` bytes are unsent.
    func write(_ block: EventBlock, room: Int) async throws {
        try await stream.loop.run {
            guard self.stream.isOpen, !self.isFinished else { throw Socket.closedError }
            self.put(block)
        }
        try await drained(to: room)
    }

    func drained(to room: Int) async throws { try await stream.drained(to: room) }

    private func put(_ block: EventBlock) {
        guard !block.isEmpty else { return }
        lastWrite = stream.loop.now
        switch framing {
        case .none: return
        case .chunked: block.withChunk { stream.writeThrough($0) }
        case .untilClose, .length: block.withEvents { stream.writeThrough($0) }
        }
    }

    /// On the loop.
    func finish() throws(BerthError) {
        guard !isFinished else { return }
        if let gzip { try frame(gzip.finish()) }
        isFinished = true
        switch framing {
        case .chunked: stream.write("0\r\n\r\n")
        case .length(let remaining) where remaining > 0:
            throw BerthError(.internal, "a body is \(remaining) bytes shorter than announced")
        default: return
        }
    }
}
