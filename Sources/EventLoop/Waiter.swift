public import Base
internal import Synchronization

/// One caller that waits for something a loop owns. It is resumed once, by whoever comes first: the owner with a value
/// or an error, or cancellation.
public final class Waiter<Value: Sendable>: Sendable {
    private enum State {
        case fresh  // → suspended, finished
        case suspended(UnsafeContinuation<Value, any Error>)  // → finished
        case finished(Result<Value, any Error>?)
    }

    private let state = Mutex(State.fresh)

    init() {}

    /// False once it was resumed or cancelled: then the owner keeps the value for someone else.
    public var isWaiting: Bool {
        state.withLock { state in
            if case .finished = state { false } else { true }
        }
    }

    /// Returns whether this call is the one that resumed the caller.
    @discardableResult
    public func resume(returning value: sending Value) -> Bool { finish(.success(value)) }

    @discardableResult
    public func resume(throwing error: any Error) -> Bool { finish(.failure(error)) }

    private func finish(_ result: Result<Value, any Error>) -> Bool {
        let (isFirst, continuation) = state.withLock { state -> (Bool, UnsafeContinuation<Value, any Error>?) in
            switch state {
            case .fresh:
                state = .finished(result)
                return (true, nil)
            case .suspended(let continuation):
                state = .finished(nil)
                return (true, continuation)
            case .finished: return (false, nil)
            }
        }
        continuation?.resume(with: result)
        return isFirst
    }

    func install(_ continuation: UnsafeContinuation<Value, any Error>) {
        let early = state.withLock { state -> Result<Value, any Error>? in
            switch state {
            case .fresh:
                state = .suspended(continuation)
                return nil
            case .finished(let result):
                state = .finished(nil)
                return result
            case .suspended: return nil
            }
        }
        if let early { continuation.resume(with: early) }
    }
}

extension Waiter where Value == Void {
    @discardableResult
    public func resume() -> Bool { resume(returning: ()) }
}

extension EventLoop {
    /// Suspends the caller until `register`, which runs on the loop, or someone it told, resumes the waiter.
    /// Cancellation resumes it with `CancellationError`; owners drop waiters that wait no longer.
    public func suspend<Value: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        _ register: @escaping @Sendable (Waiter<Value>) -> Void
    ) async throws -> Value {
        let waiter = Waiter<Value>()
        return try await withTaskCancellationHandler {
            // Captured so that the closure stays on the caller's executor; otherwise it would visit the default pool.
            _ = isolation
            return try await withUnsafeThrowingContinuation { continuation in
                waiter.install(continuation)
                execute { if waiter.isWaiting { register(waiter) } }
            }
        } onCancel: {
            waiter.resume(throwing: CancellationError())
        }
    }

    /// As ``suspend(_:)``, but gives up at `deadline` with `timedOut`; `what` names the thing waited for.
    public func suspend<Value: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        until deadline: Uptime?,
        what: @autoclosure @escaping @Sendable () -> String,
        _ register: @escaping @Sendable (Waiter<Value>) -> Void
    ) async throws -> Value {
        guard let deadline else { return try await suspend(register) }
        let slot = TimerSlot()
        defer { execute { slot.timer?.close() } }
        return try await suspend { (waiter: Waiter<Value>) in
            let timer = LoopTimer(loop: self) {
                waiter.resume(throwing: BerthError(.timedOut, "\(what()) took too long", isRetryable: true))
            }
            slot.timer = timer
            timer.set(deadline)
            register(waiter)
        }
    }

    /// Runs `body` on the loop and returns what it returns: at once when already there.
    public func run<Value: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        if isCurrent { return try body() }
        return try await withUnsafeThrowingContinuation { continuation in
            post { continuation.resume(with: Result { try body() }) }
        }
    }
}

/// Carries a timer from the loop, where it is made, to the loop, where it is taken out: `@unchecked Sendable` because
/// both happen there.
final class TimerSlot: @unchecked Sendable {
    var timer: LoopTimer?
}
