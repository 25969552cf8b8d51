public import Base
public import Domain

// What people do.
extension SessionMachine {
    /// Brings the agent up before there is a message for it, so that what is missing is told at once.
    public mutating func open() {
        guard record.process == .none, !record.codec.codec.hasProcessPerTurn else { return }
        start()
    }

    /// Words while a question or a plan waits are the answer to it; else they wait for their turn.
    /// - Returns: the message, or nil for an answer.
    @discardableResult
    public mutating func send(_ text: String, id: SessionMessageID) throws(BerthError) -> SessionMessage? {
        try refuseWhileFrozen()
        guard !text.trimmed.isEmpty else {
            throw BerthError(.missingField, "the message is empty", field: "text", remedy: "say what is to be done")
        }
        guard text.utf8.count <= AgentSessionLimits.messageBytes else {
            throw BerthError(
                .tooLarge,
                "the message has \(text.utf8.count) bytes",
                field: "text",
                remedy: "at most \(AgentSessionLimits.messageBytes); put long texts into a file of the workspace"
            )
        }
        // Repeated, it is the one that there is.
        if let known = record.queue.first(where: { $0.id == id }) { return known }
        if let turn = record.turn, turn.message.id == id { return turn.message }
        if let open = record.requests.first(where: { $0.kind != .permission }) {
            log(.message(SessionMessage(id: id, text: text, state: .committed, at: now)))
            let answers = open.questions.reduce(into: [String: String]()) { $0[$1.id] = text }
            reply(
                open,
                open.kind == .question
                    ? SessionAnswer(.allow, answers: answers) : SessionAnswer(.deny, message: text)
            )
            return nil
        }
        guard record.queue.count < AgentSessionLimits.queuedMessages else {
            throw BerthError(
                .quotaExceeded,
                "\(AgentSessionLimits.queuedMessages) messages wait for the agent",
                remedy: "withdraw some, or wait for it"
            )
        }
        let message = SessionMessage(id: id, text: text, at: now)
        record.queue.append(message)
        record.isHeld = false
        record.isStopped = false
        log(.message(message))
        advance()
        return message
    }

    public mutating func withdraw(_ id: SessionMessageID) throws(BerthError) -> SessionMessage {
        guard let index = record.queue.firstIndex(where: { $0.id == id }) else {
            throw BerthError(
                .notFound,
                "no message '\(id)' waits in this session",
                field: "messageId",
                remedy: "one that the agent has is not taken back: interrupt its turn"
            )
        }
        var message = record.queue.remove(at: index)
        message.state = .cancelled
        log(.message(message))
        if record.queue.isEmpty { record.isHeld = false }
        return message
    }

    public mutating func answer(_ id: String, _ answer: SessionAnswer) throws(BerthError) {
        guard let request = record.requests.first(where: { $0.id == id }) else {
            throw BerthError(
                .gone,
                "nothing waits for an answer under '\(id.prefix(80))'",
                field: "requestId",
                remedy: "it was answered, or waited longer than \(record.requestTimeoutMs / 1000) s"
            )
        }
        if request.kind == .question, answer.decision != .deny {
            let missing = request.questions.map(\.id).filter { answer.answers?[$0] == nil }
            guard missing.isEmpty else {
                throw BerthError(
                    .missingField,
                    "no answer to '\(missing[0].prefix(200))'",
                    field: "answers",
                    remedy: "answer each question under its id"
                )
            }
        }
        if answer.decision == .allowAlways, !request.allowsAlways {
            throw BerthError(
                .unsupported,
                "the agent offers no 'always' for this",
                field: "decision",
                remedy: "allow it this once"
            )
        }
        reply(request, answer)
    }

    /// Ends the turn that runs; what waits in the queue stays there. Nothing where none runs.
    public mutating func interrupt() {
        guard var turn = record.turn, turn.interruptedAt == nil else { return }
        turn.interruptedAt = now
        record.turn = turn
        for request in record.requests {
            reply(request, SessionAnswer(.deny, message: "the user interrupted the turn", by: .interrupt))
        }
        if record.codec.codec.hasProcessPerTurn {
            perform(.terminate(grace: AgentSessionLimits.interruptTime))
        } else {
            post(withCodec { $0.interrupt() })
        }
    }

    public mutating func change(_ change: SessionChange) throws(BerthError) {
        try refuseWhileFrozen()
        if let model = change.model {
            guard !model.isEmpty, !model.looksLikeOption, model.utf8.count <= 200, !model.utf8.contains(0) else {
                throw BerthError(.invalidValue, "'\(model.prefix(80))' is no model", field: "model")
            }
        }
        let isRunning = record.process != .none
        let lines = try withCodec { codec throws(BerthError) in try codec.change(change) }
        if let model = change.model { take(model: model) }
        if let mode = change.permissionMode { take(mode: mode) }
        // Asked under the old rules: the new ones may have the answer.
        for request in record.requests where PermissionPolicy.allows(request.tool, in: record.permissionMode) {
            reply(request, SessionAnswer(.allow, by: .policy))
        }
        if isRunning, let lines { post(lines) }
    }

    mutating func take(model: String) {
        guard record.model != model else { return }
        record.model = model
        record.usedModel = nil
        log(.setting("model", model))
    }

    mutating func take(mode: PermissionMode) {
        guard record.permissionMode != mode else { return }
        record.permissionMode = mode
        log(.setting("permissionMode", mode.rawValue))
    }

    /// Ends the process and withdraws what waits; the conversation may be taken up again by a message.
    public mutating func stop() throws(BerthError) {
        try refuseWhileFrozen()
        record.isStopped = true
        for message in record.queue { _ = try? withdraw(message.id) }
        endProcess()
    }

    /// Ends the process and lets nothing begin until ``thaw()``.
    public mutating func freeze() {
        record.isFrozen = true
        endProcess()
    }

    public mutating func thaw() {
        record.isFrozen = false
        advance()
    }

    private mutating func endProcess() {
        if var turn = record.turn {
            turn.interruptedAt = turn.interruptedAt ?? now
            record.turn = turn
        }
        switch record.process {
        case .none: endTurn(nil)
        case .stopping: break
        case .starting, .ready:
            record.process = .stopping(at: now)
            perform(.terminate(grace: AgentSessionLimits.killGrace))
        }
    }

    private func refuseWhileFrozen() throws(BerthError) {
        guard !record.isFrozen else {
            throw BerthError(
                .illegalTransition,
                "the session is frozen: its workspace is being handed over",
                remedy: "wait for the hand-over's end, and go on where the workspace is then"
            )
        }
    }
}
