internal import Base
internal import CUV

/// Signals of the process, as they come. While a source is open the signal's default action does not happen.
///
/// `@unchecked Sendable`: state is touched only on the loop; the public methods go there.
public final class SignalSource: AsyncSequence, @unchecked Sendable {
    private let loop: EventLoop
    private var handles: [SignalHandle] = []
    private var pending: [CInt] = []
    private var waiter: Waiter<CInt?>?
    private var isClosed = false

    /// Watches `signals` once this returns.
    public init(_ signals: [CInt], loop: EventLoop) async throws {
        self.loop = loop
        try await loop.run { [self] in
            for signal in signals {
                handles.append(
                    try SignalHandle(loop: loop, signal: signal) { [weak self] signal in self?.received(signal) }
                )
            }
        }
    }

    deinit {
        let handles = Leaving(handles)
        loop.execute { for handle in handles.value { handle.close() } }
    }

    /// Ends the sequence.
    public func close() {
        loop.execute { [self] in
            isClosed = true
            for handle in handles { handle.close() }
            handles = []
            waiter?.resume(returning: nil)
            waiter = nil
        }
    }

    private func received(_ signal: CInt) {
        if let waiter, waiter.resume(returning: signal) {
            self.waiter = nil
        } else if !pending.contains(signal) {
            pending.append(signal)
        }
    }

    private func next() async throws -> CInt? {
        try await loop.suspend { [self] waiter in
            if !pending.isEmpty {
                let signal = pending.removeFirst()
                if !waiter.resume(returning: signal) { pending.insert(signal, at: 0) }
            } else if isClosed {
                waiter.resume(returning: nil)
            } else {
                self.waiter = waiter
            }
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let source: SignalSource

        /// The next signal's number; nil after ``close()`` or when the task is cancelled.
        public mutating func next() async -> CInt? { try? await source.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: self) }
}

/// Moves loop-bound objects out of a deinitialiser: `@unchecked Sendable` because only the loop opens it.
struct Leaving<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

private final class SignalHandle: LoopHandle {
    private let action: (CInt) -> Void

    init(loop: EventLoop, signal: CInt, action: @escaping (CInt) -> Void) throws(BerthError) {
        self.action = action
        try super.init(loop: loop, type: UV_SIGNAL, what: "cannot watch signal \(signal)") { uv, memory in
            let handle = memory.assumingMemoryBound(to: uv_signal_t.self)
            return uv_signal_init(uv, handle)
        }
        guard let raw else { return }
        let status = uv_signal_start(
            raw.assumingMemoryBound(to: uv_signal_t.self),
            { handle, signal in
                guard let data = handle?.pointee.data else { return }
                Unmanaged<SignalHandle>.fromOpaque(data).takeUnretainedValue().action(signal)
            },
            signal
        )
        guard status == 0 else {
            close()
            throw BerthError(uv: status, "cannot watch signal \(signal)")
        }
    }
}
