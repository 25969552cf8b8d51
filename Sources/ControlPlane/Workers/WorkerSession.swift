public import Base
public import Domain
public import WorkerProtocol

/// One connection of a worker, from its first message to its close. Pure: takes decoded messages and frames, returns
/// what to do. Drawn in `Docs/states.md`.
public struct WorkerSession: Sendable {
    enum State: Sendable, Equatable {
        /// Owner: the peer. Deadline: `helloDeadline`, then close 1008. Exits: hello → admitting.
        case awaitingHello(deadline: Uptime)
        /// Owner: whoever carries out `.admit`. Deadline: `helloDeadline`. Exits: admit → live, refuse → closed.
        case admitting(WorkerMessage.Hello, deadline: Uptime)
        /// Owner: the peer, which says something at least every heartbeat. Deadline: `lostAfter` since it was last
        /// heard, then close 1001.
        case live(isDocumentedPeer: Bool, heardAt: Uptime)
        case closed
    }

    private(set) var state: State
    /// Of a session that was live and has ended.
    private var lastHeardAt: Uptime?
    private var channels: [UInt32: ChannelLedger] = [:]
    /// Channels whose attempt is not this worker's: what they still carry is passed over.
    private var dropped: Set<UInt32> = []
    /// What this connection's worker holds: the attempt behind an execution id that a documented peer names.
    private var held: [ExecutionID: Int] = [:]
    /// Held since before this connection; a documented peer that says `ready` has lost them.
    private var inherited: Set<ExecutionID> = []

    /// How far a channel's sender may be ahead of what is stored.
    private let window: Int64

    public init(now: Uptime, window: Int64 = ChannelFrame.initialCredit) {
        self.window = window
        state = .awaitingHello(deadline: now + ProtocolLimits.helloDeadline)
    }

    public var isClosed: Bool { state == .closed }

    /// Whether the peer knows Berth's own messages.
    var speaksResume: Bool { if case .live(let isDocumentedPeer, _) = state { !isDocumentedPeer } else { false } }

    /// When `expire` is due.
    public var deadline: Uptime? {
        switch state {
        case .awaitingHello(let deadline), .admitting(_, let deadline): deadline
        case .live(_, let heardAt): heardAt + ProtocolLimits.lostAfter
        case .closed: nil
        }
    }

    /// The deadline's action; nothing before the deadline.
    public mutating func expire(now: Uptime) -> [WorkerAction] {
        guard let deadline, now >= deadline else { return [] }
        switch state {
        case .awaitingHello: return close(1008, "no hello within \(ProtocolLimits.helloDeadline)")
        case .admitting: return close(1011, "the server could not admit the worker in time")
        case .live: return close(1001, "nothing heard for \(ProtocolLimits.lostAfter)")
        case .closed: return []
        }
    }

    /// The server, or a newer connection of the same worker, ends this one.
    public mutating func close(_ code: UInt16, _ reason: String) -> [WorkerAction] {
        guard state != .closed else { return [] }
        end()
        channels.removeAll()
        return [.close(code: code, reason: reason)]
    }

    /// The socket is gone.
    /// - Returns: when the peer last said something, also when the session was closed before; nil when it was never
    ///   admitted.
    @discardableResult
    public mutating func disconnected() -> Uptime? {
        end()
        return lastHeardAt
    }

    /// Something came in that was no message, such as a ping.
    public mutating func heard(at moment: Uptime) {
        if case .live(let isDocumentedPeer, let heardAt) = state {
            state = .live(isDocumentedPeer: isDocumentedPeer, heardAt: max(heardAt, moment))
        }
        lastHeardAt = lastHeardAt.map { max($0, moment) }
    }

    private mutating func end() {
        if case .live(_, let heardAt) = state { lastHeardAt = heardAt }
        state = .closed
    }

    /// A frame that was no message at all.
    public mutating func receiveMalformed(_ error: BerthError) -> [WorkerAction] {
        close(1002, String(error.description.prefix(120)))
    }
}

// Admission.
extension WorkerSession {
    /// - Parameter attempts: what the server's books say this worker holds.
    public mutating func admit(_ ack: ServerMessage.Ack, holding attempts: [AttemptKey], now: Uptime) -> [WorkerAction]
    {
        guard case .admitting(let hello, _) = state else { return [] }
        for key in attempts {
            held[key.executionID] = key.attempt
            inherited.insert(key.executionID)
        }
        state = .live(isDocumentedPeer: hello.protocol == nil, heardAt: now)
        return [.send(.ack(ack))]
    }

    public mutating func refuse(_ error: BerthError) -> [WorkerAction] {
        close(1008, String(error.message.prefix(120)))
    }

    /// The dispatcher gives it work: remembered before the message is sent.
    public mutating func assigned(_ key: AttemptKey) { held[key.executionID] = key.attempt }

    /// The attempt's end is recorded.
    public mutating func forget(_ key: AttemptKey) {
        guard held[key.executionID] == key.attempt else { return }
        held[key.executionID] = nil
        inherited.remove(key.executionID)
    }
}

// Messages.
extension WorkerSession {
    public mutating func receive(_ message: WorkerMessage, now: Uptime) -> [WorkerAction] {
        switch state {
        case .closed: return []
        case .awaitingHello:
            guard case .hello(let hello) = message else { return close(1008, "the first message must be hello") }
            guard !hello.workerId.isEmpty, hello.workerId.utf8.count <= 200 else {
                return close(1008, "hello.workerId must have 1 to 200 bytes")
            }
            state = .admitting(hello, deadline: now + ProtocolLimits.helloDeadline)
            return [.admit(hello)]
        case .admitting: return close(1008, "the peer spoke before its hello was acknowledged")
        case .live(let isDocumentedPeer, _):
            state = .live(isDocumentedPeer: isDocumentedPeer, heardAt: now)
            return receiveLive(message, isDocumentedPeer: isDocumentedPeer)
        }
    }

    private mutating func receiveLive(_ message: WorkerMessage, isDocumentedPeer: Bool) -> [WorkerAction] {
        switch message {
        case .hello: return close(1008, "hello may be said once")
        case .ready(let ready): return becomeReady(slots: ready.slots, isDocumentedPeer: isDocumentedPeer)
        case .heartbeat(let heartbeat): return heartbeat.activity.map { [.activity($0)] } ?? []
        case .stdout(let chunk): return appendChunk(chunk, .stdout)
        case .stderr(let chunk): return appendChunk(chunk, .stderr)
        case .started(let started): return [.started(AttemptKey(started.executionId, started.attempt))]
        case .progress(let progress):
            let key = AttemptKey(progress.executionId, progress.attempt)
            return [.progress(key, stage: progress.stage, message: progress.message)]
        case .event(let event):
            guard let key = key(event.executionId, nil) else { return [unknown(event.executionId)] }
            return [.personaEvent(key, type: event.eventType, payload: event.payload)]
        case .complete(let complete):
            guard let key = key(complete.executionId, complete.attempt) else { return [unknown(complete.executionId)] }
            forget(key)
            return [.complete(key, complete.truth)]
        case .open(let open):
            guard channels[open.channel] == nil, !dropped.contains(open.channel) else {
                return close(1002, "channel \(open.channel) is open already")
            }
            guard open.channel < ChannelFrame.firstTCPChannel else {
                return close(1002, "channel \(open.channel) is not the worker's to open")
            }
            guard open.offset >= 0 else { return close(1002, "channel \(open.channel) has a negative offset") }
            let key = AttemptKey(open.executionId, open.attempt)
            return [.openOutput(channel: open.channel, key, open.stream, offset: open.offset)]
        case .connected(let connected): return [.answered(channel: connected.channel, refusal: nil)]
        case .refused(let refused):
            return [.answered(channel: refused.channel, refusal: String(refused.reason.prefix(200)))]
        }
    }

    private mutating func becomeReady(slots: Int?, isDocumentedPeer: Bool) -> [WorkerAction] {
        guard isDocumentedPeer else { return [.becomeReady(slots: min(max(slots ?? 1, 0), 1024))] }
        // Idle by its own word: whatever it held is not being run.
        let lost = held.sorted { $0.key < $1.key }.map { AttemptKey($0.key, $0.value) }
            .filter { inherited.contains($0.executionID) }
        for key in lost { forget(key) }
        return (lost.isEmpty ? [] : [.surrender(lost)]) + [.becomeReady(slots: 1)]
    }

    private mutating func appendChunk(_ chunk: WorkerMessage.OutputChunk, _ stream: OutputStream) -> [WorkerAction] {
        guard let key = key(chunk.executionId, nil) else { return [unknown(chunk.executionId)] }
        return [.appendChunk(key, stream, text: chunk.chunk)]
    }

    /// A documented peer names only the execution: its attempt is the one that this worker was given.
    private func key(_ text: String, _ attempt: Int?) -> AttemptKey? {
        guard let id = try? ExecutionID(text) else { return nil }
        guard let attempt = attempt ?? held[id] else { return nil }
        return AttemptKey(id, attempt)
    }

    private func unknown(_ execution: String) -> WorkerAction {
        .note("a message names execution \(execution.prefix(80)), which this worker does not hold")
    }
}

// Frames.
extension WorkerSession {
    /// - Parameter durable: bytes of the stream that are stored.
    public mutating func opened(channel: UInt32, _ key: AttemptKey, _ stream: OutputStream, durable: Int64)
        -> [WorkerAction]
    {
        guard case .live = state else { return [] }
        let ledger = ChannelLedger(key: key, stream: stream, durable: durable, window: window)
        channels[channel] = ledger
        return [.sendFrame(.credit(channel: channel, limit: ledger.limit, durable: durable))]
    }

    public mutating func receive(_ frame: ChannelFrame, now: Uptime) -> [WorkerAction] {
        guard case .live(let isDocumentedPeer, _) = state else {
            return close(1008, "a binary frame came before the hello was acknowledged")
        }
        state = .live(isDocumentedPeer: isDocumentedPeer, heardAt: now)
        do {
            return try receiveLive(frame)
        } catch {
            return close(1002, String(error.message.prefix(120)))
        }
    }

    private mutating func receiveLive(_ frame: ChannelFrame) throws(BerthError) -> [WorkerAction] {
        if dropped.contains(frame.channel) { return [] }
        switch frame {
        case .data(let channel, let offset, let bytes):
            guard bytes.count <= ChannelFrame.maximumPayload else {
                throw BerthError(.protocolViolation, "a data frame of \(bytes.count) bytes is too long")
            }
            var ledger = try ledger(channel)
            let fresh = try ledger.receive(offset: offset, bytes: bytes)
            channels[channel] = ledger
            guard let (start, part) = fresh else { return [] }
            return [.append(channel: channel, ledger.key, ledger.stream, offset: start, bytes: part)]
        case .end(let channel, let total):
            var ledger = try ledger(channel)
            try ledger.end(total: total)
            channels[channel] = ledger
            return [.endOutput(ledger.key, ledger.stream, total: total)]
        case .tail(let channel, let offset, let bytes):
            let ledger = try ledger(channel)
            guard bytes.count <= ChannelFrame.maximumPayload else {
                throw BerthError(.protocolViolation, "a tail of \(bytes.count) bytes is too long")
            }
            return [.appendTail(ledger.key, ledger.stream, offset: offset, bytes: bytes)]
        case .credit(let channel, _, _):
            throw BerthError(.protocolViolation, "a worker gave credit on its own channel \(channel)")
        case .reset(let channel, _):
            throw BerthError(.protocolViolation, "a worker reset its own channel \(channel)")
        }
    }

    private func ledger(_ channel: UInt32) throws(BerthError) -> ChannelLedger {
        guard let ledger = channels[channel] else {
            throw BerthError(.protocolViolation, "channel \(channel) was not opened")
        }
        return ledger
    }

    /// The store has everything of the channel's stream below `durable`.
    public mutating func stored(channel: UInt32, durable: Int64) -> [WorkerAction] {
        guard case .live = state, let limit = channels[channel]?.stored(durable) else { return [] }
        return [.sendFrame(.credit(channel: channel, limit: limit, durable: durable))]
    }

    /// The attempt is not, or no longer, this worker's: its bytes are dropped from now on.
    public mutating func drop(channel: UInt32) {
        channels[channel] = nil
        dropped.insert(channel)
    }
}

extension ChannelFrame {
    var channel: UInt32 {
        switch self {
        case .data(let channel, _, _), .credit(let channel, _, _), .end(let channel, _), .tail(let channel, _, _),
            .reset(let channel, _):
            channel
        }
    }
}

extension WorkerMessage.Complete {
    /// The report, or what a documented peer's few fields say.
    var truth: ExecutionReport {
        if let report { return report }
        let outcome: ExecutionReport.Outcome =
            switch status {
            case .completed: .completed
            case .failed: .failed
            case .cancelled: .cancelled
            }
        let failure = FailureReason(.agentFailed, "the agent exited with status \(exitCode)")
        return ExecutionReport(
            outcome: outcome,
            exitCode: exitCode,
            failure: outcome == .failed ? failure : nil,
            durationMs: max(0, durationMs)
        )
    }
}
