internal import Base
internal import EventLoop

/// The body of a request or a response as it comes in. While nobody takes it the socket is not read; when the
/// connection ends before the body does, reading throws. It may outlive its connection.
///
/// `@unchecked Sendable`: state is touched only on `loop`; the public methods go there.
public final class IncomingBody: AsyncSequence, @unchecked Sendable {
    public typealias Element = [UInt8]

    private let loop: EventLoop
    private var chunks: [[UInt8]] = []
    private var taken = 0
    private(set) var queuedBytes = 0
    private var state = State.open
    private var waiter: Waiter<[UInt8]?>?
    /// Asks the connection for more; dropped with the connection.
    private var demand: (() -> Void)?

    private enum State {
        case open  // → complete, failed
        case complete
        case failed(BerthError)
    }

    /// Reading pauses above this many bytes that nobody has taken.
    static let highWater = 64 * 1024

    init(loop: EventLoop) { self.loop = loop }

    // MARK: The connection's side

    var isComplete: Bool {
        if case .complete = state { true } else { false }
    }

    var isFull: Bool { queuedBytes >= Self.highWater }

    func onDemand(_ demand: @escaping () -> Void) { self.demand = demand }

    func append(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, case .open = state else { return }
        let chunk = Array(bytes)
        if let waiter {
            self.waiter = nil
            if waiter.resume(returning: chunk) { return }
        }
        chunks.append(chunk)
        queuedBytes += chunk.count
    }

    func finish() {
        guard case .open = state else { return }
        state = .complete
        demand = nil
        waiter?.resume(returning: nil)
        waiter = nil
    }

    func fail(_ error: BerthError) {
        guard case .open = state else { return }
        state = .failed(error)
        demand = nil
        waiter?.resume(throwing: error)
        waiter = nil
    }

    // MARK: The reader's side

    /// The next bytes, nil at the end. One caller at a time.
    public func next() async throws -> [UInt8]? {
        if loop.isCurrent, let chunk = takeChunk() { return chunk }
        return try await loop.suspend { waiter in self.take(waiter) }
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

    private func takeChunk() -> [UInt8]? {
        guard taken < chunks.count else { return nil }
        let chunk = chunks[taken]
        chunks[taken] = []
        taken += 1
        queuedBytes -= chunk.count
        if taken == chunks.count {
            chunks = []
            taken = 0
            demand?()
        }
        return chunk
    }

    private func take(_ waiter: Waiter<[UInt8]?>) {
        if let chunk = takeChunk() {
            // A cancelled reader: the bytes stay for the next one.
            if !waiter.resume(returning: chunk) {
                chunks.insert(chunk, at: taken)
                queuedBytes += chunk.count
            }
            return
        }
        switch state {
        case .complete: waiter.resume(returning: nil)
        case .failed(let error): waiter.resume(throwing: error)
        case .open:
            if let current = self.waiter, current.isWaiting {
                waiter.resume(throwing: BerthError(.internal, "a body has one reader at a time"))
            } else {
                self.waiter = waiter
                demand?()
            }
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let body: IncomingBody
        public func next() async throws -> [UInt8]? { try await body.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: self) }
}
