internal import Base
internal import EventLoop

/// What has come in of a body between its connection and its reader.
///
/// `@unchecked Sendable`: state is touched only on `loop`; ``next()`` goes there.
final class BodyBuffer: @unchecked Sendable {
    let loop: EventLoop
    private var chunks: [[UInt8]] = []
    private var taken = 0
    private(set) var queuedBytes = 0
    private var state = State.open
    private var waiter: Waiter<[UInt8]?>?
    /// Asks the connection for more; dropped with the connection.
    private var demand: (() -> Void)?
    /// Tells the connection that nobody will read the rest.
    private var abandonment: (() -> Void)?

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
    func onAbandoned(_ abandonment: @escaping () -> Void) { self.abandonment = abandonment }

    func abandon() {
        chunks = []
        taken = 0
        queuedBytes = 0
        abandonment?()
    }

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
        abandonment = nil
        waiter?.resume(returning: nil)
        waiter = nil
    }

    func fail(_ error: BerthError) {
        guard case .open = state else { return }
        state = .failed(error)
        demand = nil
        abandonment = nil
        waiter?.resume(throwing: error)
        waiter = nil
    }

    // MARK: The reader's side

    func next() async throws -> [UInt8]? {
        if loop.isCurrent, let chunk = takeChunk() { return chunk }
        return try await loop.suspend { waiter in self.take(waiter) }
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
}
