import Base
import Glibc
import Synchronization

/// A thread of its own for one handle: librdkafka's calls wait for brokers, and callbacks come on the thread that polls.
///
/// Unchecked: `jobs` and `isClosed` are touched only with `mutex` held; mutex and condition live at fixed addresses until
/// deinit, which runs after the thread has let go of this.
final class KafkaThread: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [@Sendable () -> Void] = []
    private var isClosed = false

    private init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    static func start() throws -> KafkaThread {
        let thread = KafkaThread()
        do {
            try startThread { thread.work() }
        } catch {
            throw BerthError(
                .unavailable,
                "no thread could be started for the event bus",
                remedy: "raise the limit of processes (ulimit -u)",
                detail: "errno \(error.code)",
                isRetryable: true
            )
        }
        return thread
    }

    /// Runs `body` on the thread, after what was handed over before. `body` is told of the task's cancellation and
    /// always runs, so that what it took over has an end.
    func run<Value: Sendable>(_ body: @escaping @Sendable (Cancellation) throws -> Value) async throws -> Value {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isTaken = push {
                    let result = Result { try body(cancellation) }
                    continuation.resume(with: result)
                }
                if !isTaken {
                    continuation.resume(throwing: BerthError(.unavailable, "the event bus is closed"))
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// The thread ends once it has done what it has. `last` runs on it then.
    func close(_ last: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            let isTaken = push(closing: true) {
                last()
                continuation.resume()
            }
            if !isTaken { continuation.resume() }
        }
    }

    private func push(closing: Bool = false, _ job: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { return false }
        jobs.append(job)
        isClosed = closing
        pthread_cond_signal(condition)
        return true
    }

    private func work() {
        while let job = next() { job() }
    }

    private func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty {
            if isClosed { return nil }
            pthread_cond_wait(condition, mutex)
        }
        return jobs.removeFirst()
    }
}

/// Whether the task that waits for a job has been cancelled.
final class Cancellation: Sendable {
    private let flag = Atomic(false)

    var isCancelled: Bool { flag.load(ordering: .relaxed) }
    func cancel() { flag.store(true, ordering: .relaxed) }
}
