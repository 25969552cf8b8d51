public import AgentSessions
public import Base
internal import Domain
public import EventLoop

/// A session as this worker holds it: its record, its process, those who look at it.
///
/// `@unchecked Sendable`: touched only on the worker's loop.
public final class LiveSession: @unchecked Sendable {
    /// As it is stored.
    public private(set) var record: SessionRecord
    public var files: SessionFiles?
    /// Bytes of its log; nil until they are counted.
    public var loggedBytes: Int64?
    private var viewers: [SessionViewer] = []
    /// The newest lines of the log, so that those who look on need no query.
    private var recent: [LoggedEvent] = []
    private var timer: LoopTimer?
    /// Its row is gone, or about to go.
    public private(set) var isRemoved = false
    /// Wait for the end of its process.
    private var untilIdle: [Waiter<Void>] = []
    public let inbox: AsyncStream<SessionInput>
    private let add: AsyncStream<SessionInput>.Continuation
    private let time: any TimeSource
    private let loop: EventLoop

    private static let keptLines = 256

    public init(_ record: SessionRecord, loop: EventLoop, time: any TimeSource) {
        self.record = record
        self.loop = loop
        self.time = time
        (inbox, add) = AsyncStream.makeStream()
    }

    public func put(_ input: SessionInput) { add.yield(input) }

    /// Does it when everything before is done, and durable.
    /// - Returns: what `deed` returned, once what it led to was carried out.
    public func perform<Value: Sendable>(_ deed: @escaping @Sendable (inout SessionMachine) throws -> Value)
        async throws
        -> Value
    {
        try await loop.suspend { (waiter: Waiter<Value>) in
            let result = DeedResult<Value>()
            self.put(
                .deed { machine in
                    result.value = try deed(&machine)
                } done: { error in
                    if let error { waiter.resume(throwing: error) }
                    if error == nil, let value = result.value { waiter.resume(returning: value) }
                }
            )
        }
    }

    /// What was stored.
    public func take(_ record: SessionRecord, _ events: [LoggedEvent]) {
        self.record = record
        recent += events
        if recent.count > Self.keptLines { recent.removeFirst(recent.count - Self.keptLines) }
        wakeIfIdle()
        for viewer in viewers { viewer.sessionChanged() }
        setTimer()
    }

    private func setTimer() {
        guard !isRemoved, let deadline = record.deadline else {
            timer?.set(nil)
            return
        }
        let timer =
            self.timer
            ?? LoopTimer(loop: loop) { [weak self] in
                self?.put(.step { $0.tick() })
            }
        self.timer = timer
        timer.set(after: max(.milliseconds(1), deadline - time.now))
    }

    /// The log's lines behind `seq`, where they are at hand; nil where they have to be read.
    func recentLines(after seq: Int64) -> (text: [UInt8], last: Int64)? {
        guard let first = recent.first, first.seq <= seq + 1, let last = recent.last else { return nil }
        var text: [UInt8] = []
        for event in recent where event.seq > seq { event.append(to: &text) }
        return (text, last.seq)
    }

    func add(_ viewer: SessionViewer) { viewers.append(viewer) }
    func remove(_ viewer: SessionViewer) { viewers.removeAll { $0 === viewer } }

    private func wakeIfIdle() {
        guard record.process == .none || isRemoved else { return }
        for waiter in untilIdle { waiter.resume() }
        untilIdle = []
    }

    /// Returns when it has no process.
    public func idle() async throws {
        try await loop.suspend { (waiter: Waiter<Void>) in
            self.untilIdle.append(waiter)
            self.wakeIfIdle()
        }
    }

    public func close() {
        isRemoved = true
        timer?.close()
        for viewer in viewers { viewer.leave("the session was removed") }
        add.finish()
        wakeIfIdle()
    }
}

private final class DeedResult<Value: Sendable>: @unchecked Sendable {
    var value: Value?
}

/// Something that happens to a session.
public enum SessionInput: Sendable {
    /// Somebody does something.
    /// - Parameter done: called once, with the error where there was one.
    case deed(@Sendable (inout SessionMachine) throws -> Void, done: @Sendable ((any Error)?) -> Void)
    /// Something is due, or was done.
    case step(@Sendable (inout SessionMachine) -> Void)
    /// The agent of that run has written.
    case output(run: Int)
    /// It has ended, and all that it wrote is in its files.
    case exit(run: Int, AgentExit)
}
