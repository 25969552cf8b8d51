public import Base
internal import Domain

// What the agent does.
extension SessionMachine {
    /// Takes whole lines of the agent's output.
    /// - Parameter cursor: the offset behind the last of them.
    public mutating func read(_ lines: [[UInt8]], upTo cursor: Int64) {
        for line in lines where !line.isEmpty {
            let context = record.context
            let reading = withCodec { $0.read(line, context) }
            post(reading.lines)
            for signal in reading.signals { take(signal) }
        }
        for signal in withCodec({ $0.pause() }) { take(signal) }
        record.cursor = cursor
        advance()
    }

    /// A line that is longer than any should be was passed over.
    public mutating func passOver(_ bytes: Int64, upTo cursor: Int64) {
        log(.words(.notice, "a line of \(bytes) bytes was passed over"))
        record.cursor = cursor
    }

    private mutating func take(_ signal: AgentSignal) {
        switch signal {
        case .ready:
            guard case .starting = record.process else { return }
            record.process = .ready
            advance()
        case .event(let event): log(event)
        case .conversation(let id, let transcript):
            if record.agentSessionID != id { log(.setting("agentSessionId", id)) }
            record.agentSessionID = id
            record.transcriptPath = transcript ?? record.transcriptPath
        case .model(let model):
            guard record.usedModel != model else { return }
            record.usedModel = model
            log(.setting("model", model))
        case .permissionMode(let mode): take(mode: PermissionMode(rawValue: mode))
        case .accepted:
            guard var turn = record.turn, turn.message.state == .sent else { return }
            turn.message.state = .accepted
            record.turn = turn
            log(.message(turn.message))
        case .asked(let request): ask(request)
        case .unasked(let id):
            guard record.requests.contains(where: { $0.id == id }) else { return }
            record.requests.removeAll { $0.id == id }
            log(.answer(to: id, SessionAnswer(.deny, message: "the agent took it back", by: .agent)))
        case .usage(let usage):
            record.turn?.usage.add(usage)
            record.usage.add(usage)
        case .turnEnded(let failure):
            if record.turn == nil, let failure {
                // It does not even begin.
                record.failure = failure
                record.isHeld = !record.queue.isEmpty
                endIdleProcess()
                return
            }
            endTurn(failure)
            if case .starting = record.process { endIdleProcess() }
            advance()
        }
    }

    private mutating func endIdleProcess() {
        record.process = .stopping(at: now)
        perform(.terminate(grace: AgentSessionLimits.killGrace))
    }

    private mutating func ask(_ asked: SessionRequest) {
        guard !record.requests.contains(where: { $0.id == asked.id }) else { return }
        var request = asked
        request.askedAt = now
        request.expiresAt = now + .milliseconds(record.requestTimeoutMs)
        let isAllowed = request.kind == .permission && PermissionPolicy.allows(request.tool, in: record.permissionMode)
        if isAllowed || record.turn?.interruptedAt != nil {
            log(.request(request))
            return reply(
                request,
                isAllowed ? SessionAnswer(.allow, by: .policy) : SessionAnswer(.deny, by: .interrupt)
            )
        }
        record.requests.append(request)
        log(.request(request))
    }

    /// The lines up to this number are with the agent.
    public mutating func wrote(upTo number: Int64) { record.outbox.removeAll { $0.number <= number } }

    /// The process could not be started.
    public mutating func didNotStart(_ error: BerthError) {
        record.process = .none
        record.outbox = []
        fail(FailureReason(error))
    }

    /// The message that the process runs, or was started for, has failed.
    private mutating func fail(_ failure: FailureReason) {
        if record.turn == nil, !record.queue.isEmpty {
            var message = record.queue.removeFirst()
            message.state = .failed
            log(.message(message))
            record.isHeld = !record.queue.isEmpty
        }
        endTurn(failure)
        record.failure = failure
    }

    /// The process has ended, and all that it wrote was read.
    /// - Parameter errors: the end of its standard error.
    public mutating func ended(_ exit: AgentExit, errors: String) {
        let wasTold = if case .stopping = record.process { true } else { record.turn?.interruptedAt != nil }
        let hasBegun = if case .starting = record.process { false } else { true }
        record.process = .none
        record.outbox = []
        settle(SessionAnswer(.deny, message: "the agent has ended", by: .agent))
        let codec = record.codec.codec
        let isWell = codec.hasProcessPerTurn && exit == .code(0)
        if record.turn != nil {
            endTurn(isWell || wasTold ? nil : codec.explain(exit, errors: errors))
        } else if !wasTold, exit != .lost, !hasBegun || exit != .code(0) {
            fail(codec.explain(exit, errors: errors))
        }
        advance()
    }

    /// Somewhat is due.
    public mutating func tick() {
        for request in record.requests where request.expiresAt <= now {
            let seconds = record.requestTimeoutMs / 1000
            reply(
                request,
                SessionAnswer(.deny, message: "nobody answered within \(seconds) s", by: .timeout)
            )
        }
        if let at = record.turn?.interruptedAt, at + AgentSessionLimits.interruptTime <= now, record.process == .ready {
            log(.words(.notice, "the agent did not heed the interrupt and was ended"))
            record.process = .stopping(at: now)
            perform(.terminate(grace: .zero))
        }
        switch record.process {
        case .starting(let at) where at + AgentSessionLimits.startTime <= now:
            let failure = FailureReason(
                .timedOut,
                "the agent was not ready within \(AgentSessionLimits.startTime.components.seconds) s",
                remedy: "see what it says in a terminal of the environment"
            )
            record.failure = failure
            record.isHeld = !record.queue.isEmpty
            record.process = .stopping(at: now)
            perform(.terminate(grace: .zero))
        case .stopping(let at) where at + AgentSessionLimits.killGrace * 2 <= now:
            record.process = .stopping(at: now)
            perform(.terminate(grace: .zero))
        default: break
        }
    }

    /// After the worker's own death.
    /// - Parameter hasChild: the holder has the process of the present run still.
    public mutating func recover(hasChild: Bool) {
        guard record.process != .none else { return advance() }
        guard hasChild else { return ended(.lost, errors: "") }
        // A long line may have been cut in the middle of being written: whatever follows would be part of it.
        if record.outbox.contains(where: { $0.text.utf8.count >= Self.wholeBytes }) {
            record.process = .stopping(at: now)
            return perform(.terminate(grace: .zero))
        }
        if case .stopping = record.process { return perform(.terminate(grace: AgentSessionLimits.killGrace)) }
        if !record.outbox.isEmpty { perform(.write) }
    }

    /// What a pipe takes whole or not at all (PIPE_BUF, pipe(7)).
    private static let wholeBytes = 4096
}

// Hand-over.
extension SessionMachine {
    /// Takes its place in another checkout, with the transcript that lies there now.
    public mutating func move(to workspace: WorkspaceID, directory: String, transcript: String?) {
        record.workspaceId = workspace
        record.directory = directory
        record.transcriptPath = transcript
        record.process = .none
        record.outbox = []
        record.cursor = 0
        record.isFrozen = false
        log(.words(.notice, "the session goes on in \(directory)"))
    }
}

extension AgentUsage {
    mutating func add(_ other: AgentUsage) {
        inputTokens += other.inputTokens
        outputTokens += other.outputTokens
        cacheReadTokens += other.cacheReadTokens
        cacheCreationTokens += other.cacheCreationTokens
        if let turns = other.turns { self.turns = (self.turns ?? 0) + turns }
    }
}
