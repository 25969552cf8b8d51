public import Base
internal import CUV
internal import Glibc
internal import Synchronization

/// One libuv loop on one thread, as a Swift executor. Tasks that prefer it, and actors pinned to it through
/// ``serialExecutor``, run between two looks at the kernel; nothing that runs here may block.
///
/// `@unchecked Sendable`: everything that is not under `remote`, atomic or immutable is touched only by the loop's own
/// thread, which ``isCurrent`` tells.
public final class EventLoop: TaskExecutor, @unchecked Sendable {
    public let name: String
    public let serialExecutor = LoopSerialExecutor()

    let uv: UnsafeMutablePointer<uv_loop_t>
    private let wake: UnsafeMutablePointer<uv_async_t>
    private let threadID = Atomic<UInt>(0)
    private let remote = Mutex(Remote())
    private var local: [Work] = []
    private var running: [Work] = []
    private var unflushed: [any LoopFlushable] = []
    private var isStopping = false
    var timers = TimerHeap()
    var alarm: TimerAlarm?

    private var turnTime: Uptime?

    /// The clock, read once for each turn of the loop; a fresh reading is `time.uptime`. On the loop.
    public var now: Uptime {
        if let turnTime { return turnTime }
        let now = time.uptime
        turnTime = now
        return now
    }

    private static let longTurn = Duration.milliseconds(2)
    /// Whether this turn has lasted longer than those who wait for the next should have to.
    var isTurnLong: Bool { time.uptime - now > Self.longTurn }

    /// Where every socket of this loop reads: the bytes are handed on before the next read.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readBufferSize, alignment: 16)
    public static let readBufferSize = 256 * 1024
    /// Where what one reading carried is decrypted; made when it is first needed, and handed on before the next read.
    private var ownPlainBuffer: UnsafeMutableRawBufferPointer?
    public var plainBuffer: UnsafeMutableRawBufferPointer {
        if let ownPlainBuffer { return ownPlainBuffer }
        let made = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.readBufferSize, alignment: 16)
        ownPlainBuffer = made
        return made
    }
    /// Output buffers that are not in use, so that an idle socket holds none.
    var spareOutput: UnsafeMutableRawPointer?
    var smallOutputs: [UnsafeMutableRawPointer] = []
    /// Log lines of this turn.
    let lines = LineBuffer()
    /// Tasks for what comes often and is soon done.
    public private(set) lazy var pool = TaskPool(loop: self)
    /// What any thread may read of the loop's work.
    let meter = LoopMeter()
    var probe: LoopTimer?
    var probeDue: Uptime?

    enum Work {
        case task(UnownedJob)
        case actor(UnownedJob)
        case call(@Sendable () -> Void)
    }

    private struct Remote {
        var work: [Work] = []
        var isSignalled = false
        var thread = Thread.notStarted
        enum Thread { case notStarted, started(uv_thread_t), joined }
    }

    public init(name: String = "loop") throws(BerthError) {
        self.name = name
        uv = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        let status = uv_loop_init(uv)
        guard status == 0 else { throw BerthError(uv: status, "cannot make an event loop") }
        let async = uv_async_init(uv, wake) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<EventLoop>.fromOpaque(data).takeUnretainedValue().takeRemote()
        }
        guard async == 0 else { throw BerthError(uv: async, "cannot make an event loop") }
        // Unretained: the thread retains the loop for as long as callbacks can come.
        wake.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        serialExecutor.loop = self
    }

    deinit {
        readBuffer.deallocate()
        ownPlainBuffer?.deallocate()
        spareOutput?.deallocate()
        for buffer in smallOutputs { buffer.deallocate() }
        wake.deallocate()
        uv.deallocate()
    }

    /// Starts the loop's thread. Work posted earlier runs first.
    public func start() {
        remote.withLock { remote in
            guard case .notStarted = remote.thread else { return }
            var thread = uv_thread_t()
            let retained = Unmanaged.passRetained(self)
            let status = uv_thread_create(
                &thread,
                { argument in
                    guard let argument else { return }
                    Unmanaged<EventLoop>.fromOpaque(argument).takeRetainedValue().run()
                },
                retained.toOpaque()
            )
            precondition(status == 0, "the system gives no more threads")
            remote.thread = .started(thread)
        }
    }

    /// Closes every handle and ends the thread. Returns when it has ended, unless called on the loop itself.
    /// Work posted afterwards never runs.
    public func stop() {
        post { self.isStopping = true }
        if isCurrent { return }
        let started = remote.withLock { remote -> uv_thread_t? in
            guard case .started(let thread) = remote.thread else { return nil }
            remote.thread = .joined
            return thread
        }
        if var started { uv_thread_join(&started) }
    }

    /// The loop that the caller runs on.
    public static var current: EventLoop? {
        guard let pointer = pthread_getspecific(threadKey) else { return nil }
        // Set by `run` and taken back before the loop lets go of itself.
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    private static let threadKey: pthread_key_t = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key, nil)
        precondition(status == 0, "the system gives no more thread keys")
        return key
    }()

    public var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Stops the program when called on another thread: what belongs to a loop is touched only there.
    public func preconditionCurrent() {
        precondition(isCurrent, "this belongs to the event loop '\(name)' and was used on another thread")
    }

    public func enqueue(_ job: consuming ExecutorJob) { put(.task(UnownedJob(job))) }

    /// Runs `body` on the loop in a later turn; bodies keep their order.
    public func post(_ body: @escaping @Sendable () -> Void) { put(.call(body)) }

    /// Runs `body` now when called on the loop, otherwise posts it.
    public func execute(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { body() } else { put(.call(body)) }
    }

    /// The only way to start unstructured work: a task that stays on this loop.
    @discardableResult
    public func spawn(_ body: @escaping @Sendable () async -> Void) -> LoopTask {
        LoopTask(task: Task(executorPreference: self, operation: body))
    }

    func put(_ work: Work) {
        if isCurrent {
            local.append(work)
            return
        }
        let mustSignal = remote.withLock { remote in
            remote.work.append(work)
            defer { remote.isSignalled = true }
            return !remote.isSignalled
        }
        if mustSignal { uv_async_send(wake) }
    }

    var waitingFromOutside: Int { remote.withLock { $0.work.count } }

    /// `flushable.flush()` is called at the end of this turn.
    public func flushLater(_ flushable: any LoopFlushable) {
        preconditionCurrent()
        unflushed.append(flushable)
    }
}

// MARK: - The thread

extension EventLoop {
    private func run() {
        adoptThread()
        pthread_setname_np(pthread_self(), String(name.prefix(15)))
        pthread_setspecific(Self.threadKey, Unmanaged.passUnretained(self).toOpaque())
        while !isStopping { turn(mayWait: true) }
        closeEverything()
        lines.flush()
        pthread_setspecific(Self.threadKey, nil)
        threadID.store(0, ordering: .relaxed)
    }

    /// Makes the calling thread the loop's. A caller that then takes its turns itself, instead of ``start()``, runs the
    /// same way every time.
    func adoptThread() { threadID.store(UInt(pthread_self()), ordering: .relaxed) }

    /// What is queued, then one look at the kernel; it waits there only when nothing is left to do.
    func turn(mayWait: Bool) {
        runQueued()
        armAlarm()
        let isIdle = local.isEmpty && unflushed.isEmpty
        turnTime = nil
        uv_run(uv, mayWait && isIdle && !isStopping ? UV_RUN_ONCE : UV_RUN_NOWAIT)
    }

    private func takeRemote() {
        let taken = remote.withLock { remote -> [Work] in
            defer { remote.work = [] }
            remote.isSignalled = false
            return remote.work
        }
        local.append(contentsOf: taken)
    }

    /// Bounded, so that tasks that keep waking each other cannot starve the kernel's events.
    private func runQueued() {
        var rounds = 0
        while rounds < 32, !(local.isEmpty && unflushed.isEmpty) {
            rounds += 1
            runRound()
            guard local.isEmpty, !unflushed.isEmpty else { continue }
            // Before any answer leaves.
            lines.flush()
            let flushing = unflushed
            unflushed.removeAll(keepingCapacity: true)
            for flushable in flushing { flushable.flush() }
        }
        lines.flush()
        meter.queued(local.count)
    }

    private func runRound() {
        swap(&local, &running)
        meter.queued(running.count)
        for work in running {
            switch work {
            case .task(let job): job.runSynchronously(on: asUnownedTaskExecutor())
            case .actor(let job):
                job.runSynchronously(
                    isolatedTo: serialExecutor.asUnownedSerialExecutor(),
                    taskExecutor: asUnownedTaskExecutor()
                )
            case .call(let body): body()
            }
        }
        running.removeAll(keepingCapacity: running.capacity <= 1024)
    }

    /// What an event of the kernel has queued, as the last thing that its callback does: while its bytes are in the
    /// caches, and before the next event takes memory that this one is about to give back.
    func eventHandled() {
        if !local.isEmpty { runRound() }
    }

    private func closeEverything() {
        probe?.close()
        alarm?.close()
        pool.close()
        takeRemote()
        runQueued()
        uv_walk(
            uv,
            { handle, _ in
                guard let handle, uv_is_closing(handle) == 0 else { return }
                if handle.pointee.type == UV_ASYNC {
                    uv_close(handle, nil)
                } else if let data = handle.pointee.data {
                    Unmanaged<LoopHandle>.fromOpaque(data).takeUnretainedValue().loopStops()
                }
            },
            nil
        )
        uv_run(uv, UV_RUN_DEFAULT)
        runQueued()
        uv_loop_close(uv)
    }
}

/// Collects writes of one turn into one system call.
public protocol LoopFlushable: AnyObject {
    func flush()
}

/// A task on a loop.
public struct LoopTask: Sendable {
    private let task: Task<Void, Never>

    init(task: Task<Void, Never>) { self.task = task }

    public func cancel() { task.cancel() }
    public func wait() async { await task.value }
}

/// The executor of actors that live on a loop:
/// `nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }`.
///
/// `@unchecked Sendable`: `loop` is set once, before the loop is handed to anyone.
public final class LoopSerialExecutor: SerialExecutor, @unchecked Sendable {
    fileprivate unowned(unsafe) var loop: EventLoop?

    init() {}

    public func enqueue(_ job: consuming ExecutorJob) { loop?.put(.actor(UnownedJob(job))) }
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    public func checkIsolated() { loop?.preconditionCurrent() }
    public func isIsolatingCurrentContext() -> Bool? { loop?.isCurrent ?? false }
}
