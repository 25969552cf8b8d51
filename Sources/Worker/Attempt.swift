internal import Base
internal import Domain
internal import EventLoop
internal import Glibc
internal import OutputStore
internal import WorkerProtocol

/// One attempt of an execution on this worker, from its acceptance until the server has recorded its end.
///
/// Lives on the worker's loop. One task carries it out (`run` or `recover`); links only look at it and send.
actor Attempt {
    nonisolated let key: AttemptKey
    nonisolated let services: Services
    /// Advances with every change.
    nonisolated let beacon: Beacon
    private(set) var record: AttemptRecord
    private(set) var machine: AttemptMachine
    /// What the server should hear and need not: stages, messages of personas. Oldest first.
    private(set) var notices: [WorkerMessage] = []
    private(set) var spools: Spools?
    /// false: nothing was asked of the holder yet, so that another attempt would repeat nothing.
    private(set) var mayHaveStarted = false
    /// How much of standard output and of standard error a documented server was sent.
    private var textOffsets: (stdout: Int64, stderr: Int64) = (0, 0)

    struct Spools: Sendable {
        var stdout: Spool
        var stderr: Spool
    }

    /// Notices beyond this are dropped: people read the newest.
    private static let keptNotices = 256

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(key: AttemptKey, record: AttemptRecord, services: Services) {
        self.key = key
        self.record = record
        self.services = services
        machine = AttemptMachine(stopCause: record.stopCause)
        beacon = Beacon(loop: services.loop)
    }

    var hasEnded: Bool { machine.hasEnded }
    var isRunning: Bool { machine.phase == .running }
    var report: ExecutionReport? { machine.report }
    var stopCause: StopCause? { machine.stopCause }

    /// Asks for the end; the first cause stays.
    func stop(_ cause: StopCause) { if machine.stop(cause) { beacon.advance() } }

    /// The server wants nothing of it any more.
    func abandon() { if machine.abandon() { beacon.advance() } }

    /// Returns when a stop was asked for.
    func stopRequested() async throws -> StopCause {
        while true {
            let seen = beacon.revision
            if let stopCause { return stopCause }
            try await beacon.wait(after: seen)
        }
    }

    func note(_ stage: String, _ message: String) {
        notify(
            .progress(.init(executionId: key.executionID, attempt: key.attempt, stage: stage, message: message))
        )
    }

    func notify(_ notice: WorkerMessage) {
        notices.append(notice)
        if notices.count > Self.keptNotices { notices.removeFirst(notices.count - Self.keptNotices) }
        beacon.advance()
    }

    func textOffset(isError: Bool) -> Int64 { isError ? textOffsets.stderr : textOffsets.stdout }

    func sentText(upTo offset: Int64, isError: Bool) {
        if isError { textOffsets.stderr = offset } else { textOffsets.stdout = offset }
    }

    /// Takes the notices that wait.
    func takeNotices() -> [WorkerMessage] {
        defer { notices = [] }
        return notices
    }

    func position() -> WorkerMessage.AttemptPosition {
        .init(
            executionId: key.executionID,
            attempt: key.attempt,
            stdout: spools?.stdout.length ?? 0,
            stderr: spools?.stderr.length ?? 0,
            hasEnded: hasEnded
        )
    }

    // MARK: - Steps of the task that carries it out

    func openSpools() throws -> Spools {
        if let spools { return spools }
        let limits = SpoolLimits(headBytes: record.caps.maxOutputBytes)
        func spool(_ stream: OutputStore.OutputStream) throws -> Spool {
            let output = OutputKey(executionID: key.executionID, attempt: key.attempt, stream: stream)
            return try Spool(root: services.spoolRoot, key: output, limits: limits)
        }
        let opened = Spools(stdout: try spool(.stdout), stderr: try spool(.stderr))
        spools = opened
        return opened
    }

    /// Makes the cause durable before the process is touched.
    func recordStop() async {
        guard let stopCause, record.stopCause == nil else { return }
        record.stopCause = stopCause
        do {
            try await services.store.update(key, record)
        } catch {
            // The process must end even if the disk is full.
            services.log.warning("stop not stored", ["attempt": key, "error": "\(error)"])
        }
    }

    func setCheckout(_ checkout: AttemptRecord.CheckoutRecord) { record.checkout = checkout }

    func isSpawning() { mayHaveStarted = true }

    /// The holder has refused: there is no process.
    func wasNotSpawned() { mayHaveStarted = false }

    func hasStarted() {
        mayHaveStarted = true
        machine.start()
        beacon.advance()
    }

    func hasEnded(_ report: ExecutionReport) {
        machine.end(report)
        beacon.advance()
    }

    func removeFiles() throws {
        unlink(services.bundlePath(of: key))
        try spools?.stdout.remove()
        try spools?.stderr.remove()
        // Fails while another attempt of the execution is kept, as it should.
        rmdir("\(services.spoolRoot)/\(key.executionID)/\(key.attempt)")
        rmdir("\(services.spoolRoot)/\(key.executionID)")
        spools = nil
    }
}
