import Base
import Glibc

/// First in, first out, between tasks and the engine's threads.
///
/// Unchecked: `jobs`, `head`, `waiting`, `isClosed` and `threads` are touched only with `mutex` held; the mutex and the
/// condition live at fixed addresses until deinit, which runs after the last thread has let go of the queue.
package final class JobQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [any DatabaseJob] = []
    private var head = 0
    private var waiting = 0
    private var isClosed = false
    private var threads: Int
    private var closers: [CheckedContinuation<Void, Never>] = []

    /// `threads` are started by the caller at once; each ends with `threadEnded`.
    package init(threads: Int) {
        self.threads = threads
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Jobs that no thread has taken yet.
    package var depth: Int { locked { jobs.count - head } }

    package enum Push {
        case taken
        /// Taken, but no thread is free and fewer than the limit run: the caller starts one (already counted).
        case takenNeedsThread
        case closed
    }

    package func push(_ job: any DatabaseJob, threadLimit: Int) -> Push {
        locked {
            guard !isClosed else { return .closed }
            jobs.append(job)
            if waiting >= jobs.count - head {
                pthread_cond_signal(condition)
                return .taken
            }
            if waiting > 0 { pthread_cond_signal(condition) }
            guard threads < threadLimit else { return .taken }
            threads += 1
            return .takenNeedsThread
        }
    }

    /// The next job; waits for one. nil once closed and empty: the thread then ends with `threadEnded`.
    package func next() -> (any DatabaseJob)? {
        locked {
            while head == jobs.count {
                if isClosed { return nil }
                waiting += 1
                pthread_cond_wait(condition, mutex)
                waiting -= 1
            }
            return pop()
        }
    }

    /// Up to `limit` jobs that are queued right now; where there is none, waits up to `patience` for one.
    package func take(upTo limit: Int, patience: Duration = .zero) -> [any DatabaseJob] {
        locked {
            if head == jobs.count, patience > .zero { wait(patience) }
            var taken: [any DatabaseJob] = []
            while taken.count < limit, head < jobs.count { taken.append(pop()) }
            return taken
        }
    }

    private func wait(_ patience: Duration) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int(patience.wholeNanoseconds)
        end.tv_sec += nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        waiting += 1
        while head == jobs.count, !isClosed, pthread_cond_timedwait(condition, mutex, &end) == 0 {}
        waiting -= 1
    }

    package func threadEnded() {
        let released = locked {
            threads -= 1
            return threads == 0 ? takeClosers() : []
        }
        for closer in released { closer.resume() }
    }

    package func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }

    /// Closes and returns when the last thread has ended.
    package func closeAndWait() async {
        await withCheckedContinuation { continuation in
            let isIdle = locked {
                isClosed = true
                pthread_cond_broadcast(condition)
                if threads > 0 { closers.append(continuation) }
                return threads == 0
            }
            if isIdle { continuation.resume() }
        }
    }

    private func takeClosers() -> [CheckedContinuation<Void, Never>] {
        defer { closers = [] }
        return closers
    }

    private func pop() -> any DatabaseJob {
        let job = jobs[head]
        head += 1
        // A popped job must not be kept alive by the array for long.
        if head == jobs.count || head >= 64 {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
