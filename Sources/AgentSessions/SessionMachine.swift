public import Base
public import Domain

/// What becomes of an agent session with each thing that happens to it: pure. Made for one thing, on the record as it
/// is; then the record and the events are stored together, and the effects carried out.
public struct SessionMachine: Sendable {
    public internal(set) var record: SessionRecord
    /// New lines of the log.
    public private(set) var events: [SessionEvent] = []
    public private(set) var effects: [SessionEffect] = []
    let now: Timestamp
    private let before: (AgentSessionStatus, AgentActivity, FailureReason?)

    public init(_ record: SessionRecord, now: Timestamp) {
        self.record = record
        self.now = now
        before = (record.status, record.activity, record.failure)
    }

    /// To be called last: tells of what changed for those who look on.
    public mutating func finish() {
        let (status, activity, failure) = before
        if record.status != status || record.activity != activity || record.failure != failure {
            log(.status(record.status, record.activity, record.failure))
        }
        record.changedAt = now
    }

    mutating func log(_ event: SessionEvent) {
        var event = event
        record.lastSequence += 1
        event.seq = record.lastSequence
        event.at = now
        event.turn = record.turn?.number
        events.append(event)
    }

    mutating func perform(_ effect: SessionEffect) { if !effects.contains(effect) { effects.append(effect) } }

    mutating func post(_ lines: [[UInt8]]) {
        guard !lines.isEmpty else { return }
        for line in lines {
            record.outbox.append(OutboxLine(number: record.nextLine, text: String(decoding: line, as: UTF8.self)))
            record.nextLine += 1
        }
        perform(.write)
    }

    mutating func withCodec<Value>(_ body: (inout any AgentCodec) throws(BerthError) -> Value) throws(BerthError)
        -> Value
    {
        var codec = record.codec.codec
        let value = try body(&codec)
        record.codec.codec = codec
        return value
    }

    mutating func withCodec<Value>(_ body: (inout any AgentCodec) -> Value) -> Value {
        var codec = record.codec.codec
        let value = body(&codec)
        record.codec.codec = codec
        return value
    }

    // MARK: Turns

    /// Lets the next message begin where one may.
    mutating func advance() {
        guard record.turn == nil, !record.isFrozen, !record.isHeld, !record.queue.isEmpty else { return }
        switch record.process {
        case .starting, .stopping: return
        case .none: start()
        case .ready: begin()
        }
    }

    mutating func start() {
        record.isStopped = false
        record.process = .starting(at: now)
        record.run += 1
        record.cursor = 0
        record.outbox = []
        let context = record.context
        let opening = withCodec { $0.open(context) }
        if record.codec.codec.hasProcessPerTurn {
            begin()
            record.process = .ready
        }
        perform(.start)
        post(opening)
    }

    private mutating func begin() {
        var message = record.queue.removeFirst()
        message.state = .sent
        record.turns += 1
        record.turn = SessionTurn(number: record.turns, message: message, startedAt: now)
        record.failure = nil
        log(.message(message))
        let context = record.context
        post(withCodec { $0.say(message, context) })
    }

    /// Ends the turn that runs, if one does.
    mutating func endTurn(_ failure: FailureReason?) {
        guard var turn = record.turn else { return }
        let wasInterrupted = turn.interruptedAt != nil
        settle(SessionAnswer(.deny, message: "the turn is over", by: .agent))
        if turn.usage != AgentUsage() { log(.usage(turn.usage)) }
        turn.message.state = failure == nil || wasInterrupted ? .committed : .failed
        log(.message(turn.message))
        if wasInterrupted { log(.words(.notice, "the turn was interrupted")) }
        record.turn = nil
        record.failure = wasInterrupted ? nil : failure
        // What waits was meant for an agent that goes on well.
        if (failure != nil || wasInterrupted) && !record.queue.isEmpty { record.isHeld = true }
    }

    // MARK: Requests

    /// Ends all that waits for a person, without a word to the agent.
    mutating func settle(_ answer: SessionAnswer) {
        for request in record.requests { log(.answer(to: request.id, answer)) }
        record.requests = []
    }

    mutating func reply(_ request: SessionRequest, _ answer: SessionAnswer) {
        record.requests.removeAll { $0.id == request.id }
        log(.answer(to: request.id, answer))
        post(withCodec { $0.answer(request, answer) })
    }
}
