public import Base
import Domain
import WorkerProtocol

/// A WebSocket message of a worker.
public enum LinkFrame: Sendable {
    case text([UInt8])
    case binary([UInt8])
}

/// Carries out what a ``WorkerSession`` says, for one connection. The owner of the socket calls `receive` in the order
/// of arrival, one at a time, which is also the back-pressure: a frame is not answered before it is stored.
public actor WorkerLink {
    private var session: WorkerSession
    private var identity: WorkerIdentity
    nonisolated let transport: any LinkTransport
    private let service: WorkerService
    private let log: Log
    private var workerID: WorkerID?
    private var connection: Int64 = 0
    /// Said to have started, and not recorded yet: recorded a moment later, so that the commit holds up no output, and
    /// not apart at all when the end comes first.
    private var begun: [(key: AttemptKey, at: Timestamp, due: Uptime)] = []
    /// The worker's word about the last claim.
    private var claimed: (claim: String, refusal: String?)?
    private let changed = Wakeup()
    private static let recordingDelay: Duration = .milliseconds(4)

    init(identity: WorkerIdentity, transport: any LinkTransport, service: WorkerService) {
        self.identity = identity
        self.transport = transport
        self.service = service
        log = service.log
        session = WorkerSession(now: service.time.uptime, window: service.window)
    }

    /// Frames in the order of arrival, as many as have come. Ends that follow one another are recorded side by side, so that
    /// they share a commit; each passes its own fence, or fails alone.
    public func receive(_ frames: [LinkFrame]) async {
        var ends: [End] = []
        for frame in frames {
            for action in actions(of: frame) {
                if case .complete(let key, let report) = action, workerID != nil {
                    ends.append(End(key: key, report: report, startedAt: takeStart(of: key)))
                    continue
                }
                if case .started(let key) = action, workerID != nil {
                    noteStart(of: key)
                    continue
                }
                await record(ends)
                ends = []
                // What could not be stored has closed it: the rest comes again, over the next connection.
                if session.isClosed { guard case .close = action else { continue } }
                await perform([action])
            }
        }
        await record(ends)
    }

    /// A text frame.
    public func receive(text bytes: [UInt8]) async { await receive([.text(bytes)]) }

    /// A binary frame.
    public func receive(binary bytes: [UInt8]) async { await receive([.binary(bytes)]) }

    private func actions(of frame: LinkFrame) -> [WorkerAction] {
        do {
            switch frame {
            case .text(let bytes):
                guard let message = try MessageCodec.decodeStorable(bytes) else { return [] }
                return session.receive(message, now: service.time.uptime)
            case .binary(let bytes):
                return session.receive(try ChannelFrame(decoding: bytes), now: service.time.uptime)
            }
        } catch {
            return session.receiveMalformed(error)
        }
    }

    private struct End: Sendable {
        var key: AttemptKey
        var report: ExecutionReport
        var startedAt: Timestamp?
    }

    private func record(_ ends: [End]) async {
        guard ends.count > 1 else {
            for end in ends { await record(end) }
            return
        }
        await withDiscardingTaskGroup { group in
            for end in ends { group.addTask { await self.record(end) } }
        }
    }

    private func record(_ end: End) async {
        guard let workerID else { return }
        do {
            try await service.attempts.completed(end.key, worker: workerID, end.report, startedAt: end.startedAt)
        } catch {
            await fail(.complete(end.key, end.report), BerthError(wrapping: error))
        }
    }

    private func noteStart(of key: AttemptKey) {
        guard !begun.contains(where: { $0.key == key }) else { return }
        begun.append((key, service.time.now, service.time.uptime + Self.recordingDelay))
        changed.ring()
    }

    /// Recorded with the end, if it is not yet.
    private func takeStart(of key: AttemptKey) -> Timestamp? {
        guard let index = begun.firstIndex(where: { $0.key == key }) else { return nil }
        return begun.remove(at: index).at
    }

    /// When ``keepUp()`` has something to do next, as things stand: whatever the link is given may change it. nil once it
    /// is closed.
    public var due: Uptime? {
        guard let deadline = session.deadline else { return nil }
        return begun.first.map { min($0.due, deadline) } ?? deadline
    }

    /// Records the starts that are due, and acts on a deadline that has passed.
    public func keepUp() async {
        if let first = begun.first, first.due <= service.time.uptime { await recordStarts() }
        await expire()
    }

    /// Calls ``keepUp()`` whenever it is due; returns when the connection is closed. For an owner without a clock of its
    /// own, beside the reading of the socket.
    public func run() async {
        while true {
            let count = changed.count
            guard let due else { return }
            do {
                try await changed.wait(after: count, until: due, time: service.time)
            } catch { return }
            await keepUp()
        }
    }

    private func expire() async {
        if let deadline = session.deadline, deadline <= service.time.uptime { await hearTransport() }
        await perform(session.expire(now: service.time.uptime))
    }

    /// The worker counts its silence from the pings that were answered; so what counts here is more than messages too.
    private func hearTransport() async {
        if let moment = await transport.lastHeard() { session.heard(at: moment) }
    }

    func recordStarts() async {
        guard let workerID else { return begun.removeAll() }
        while !begun.isEmpty {
            let (key, at, _) = begun.removeFirst()
            do {
                try await service.attempts.started(key, worker: workerID, at: at)
            } catch {
                await fail(.started(key), BerthError(wrapping: error))
            }
        }
    }

    /// The socket has ended, for whatever reason.
    public func disconnected() async {
        await hearTransport()
        let heardAt = session.disconnected()
        changed.ring()
        let worker = workerID
        workerID = nil
        guard let worker else { return }
        await service.disconnected(worker, identity, connection: connection, heardAt: heardAt)
    }

    /// Ends the connection in good order.
    public func close(code: UInt16, reason: String) async { await perform(session.close(code, reason)) }

    /// Returns false when the connection is gone.
    func send(_ message: ServerMessage) async -> Bool {
        guard !session.isClosed, workerID != nil else { return false }
        do {
            try await transport.send(text: try MessageCodec.encode(message))
            return true
        } catch {
            return false
        }
    }

    /// Returns when the worker has answered that it can be had; throws where it refuses or says nothing in time.
    func claim(_ message: ServerMessage.Claim, within limit: Duration) async throws {
        let time = service.time
        let deadline = time.uptime + limit
        var isSent = false
        while true {
            let count = changed.count
            if !isSent {
                guard await send(.claim(message)) else { throw Self.away }
                isSent = true
            }
            if let claimed, claimed.claim == message.claim {
                guard let refusal = claimed.refusal else { return }
                throw BerthError(.unavailable, "its worker refuses: \(refusal)")
            }
            guard !session.isClosed, workerID != nil else { throw Self.away }
            guard time.uptime < deadline else { throw BerthError(.timedOut, "its worker did not answer in \(limit)") }
            try await changed.wait(after: count, until: deadline, time: time)
        }
    }

    private static let away = BerthError(.unavailable, "its worker is away")

    /// nil for a worker that stands alone.
    private func network() async throws -> NetworkPolicy? {
        guard case .environment(_, let environment, _) = identity.place else { return nil }
        return try await service.instances.network(of: environment, organization: identity.organizationID)
    }

    /// What may be reached through it from now on.
    func tell(_ policy: NetworkPolicy) async {
        await transport.keep(to: policy)
        guard let workerID, let entry = service.registry.entry(workerID),
            entry.candidate.capabilities.contains(ServerMessage.egressCapability)
        else { return }
        _ = await send(.network(.init(allow: policy.allow)))
    }

    /// Whose environment it is from now on.
    func belong(to organization: OrganizationID, owner: UserID?) {
        identity.organizationID = organization
        identity.ownerID = owner
    }

    func assign(_ key: AttemptKey, _ message: ServerMessage) async -> Bool {
        session.assigned(key)
        if await send(message) { return true }
        // Whoever waited was cancelled, and it may have left or not: the worker says at its next hello.
        if Task.isCancelled { await close(code: 1011, reason: "an assignment was cut off; connect again") }
        return false
    }

    func forget(_ key: AttemptKey) async {
        session.forget(key)
        guard session.speaksResume else { return }
        _ = await send(.forget(.init(executionId: key.executionID, attempt: key.attempt)))
    }

    private func perform(_ actions: [WorkerAction]) async {
        for action in actions {
            do {
                try await perform(action)
            } catch {
                await fail(action, BerthError(wrapping: error))
            }
        }
    }

    private func perform(_ action: WorkerAction) async throws {
        switch action {
        case .send(let message): try await transport.send(text: try MessageCodec.encode(message))
        case .sendFrame(let frame): try await transport.send(binary: frame.encoded())
        case .answered(let channel, let refusal): await transport.answered(channel: channel, refusal: refusal)
        case .claimed(let claim, let refusal):
            claimed = (claim, refusal)
            changed.ring()
        case .note(let text): log.debug("worker message passed over", ["note": text])
        case .close(let code, let reason):
            log.info("worker connection closed", ["code": code, "reason": reason])
            changed.ring()
            await transport.close(code: code, reason: reason)
        case .admit(let hello): try await admit(hello)
        default:
            guard let workerID else { return }
            try await perform(action, worker: workerID)
        }
    }

    private func perform(_ action: WorkerAction, worker: WorkerID) async throws {
        let attempts = service.attempts
        switch action {
        case .becomeReady(let slots):
            service.registry.becomeReady(worker, connection: connection, slots: slots)
            try await service.recordReady(worker, identity, connection: connection, slots: slots)
            if case .environment(_, let environment, let instance) = identity.place {
                try await service.instances.workerReady(
                    environment,
                    organization: identity.organizationID,
                    instance: instance
                )
            }
            await attempts.workerReady(worker)
            if let policy = try await network(), policy.kind == .allow { await tell(policy) }
        case .dial(let dial):
            guard let policy = try await network(), policy.permits(dial.name, port: dial.port) else {
                let reason = "\(dial.name):\(dial.port) is not on the environment's list"
                _ = await send(.undialled(.init(dial: dial.dial, reason: reason)))
                return
            }
            await transport.dial(dial)
        case .activity(let report):
            guard case .environment(_, let environment, let instance) = identity.place else { return }
            service.instances.workerSaw(report, in: environment, identity.organizationID, instance: instance)
        case .surrender(let keys):
            let reason = FailureReason(.infrastructureLost, "its worker came back without it")
            let fence = WorkerFence(replicaID: service.registry.seat.id, connection: connection)
            try await attempts.lost(keys, worker: worker, fence, reason)
        case .progress(let key, let stage, let message):
            try await attempts.progress(key, worker: worker, stage: stage, message: message)
        case .personaEvent(let key, let type, let payload):
            try await attempts.personaEvent(key, worker: worker, type: type, payload: payload)
        case .openOutput(let channel, let key, let stream, _):
            let durable = try await attempts.openOutput(key, stream, worker: worker)
            await perform(session.opened(channel: channel, key, stream, durable: durable))
        case .append(let channel, let key, let stream, let offset, let bytes):
            let durable = try await attempts.appendOutput(key, stream, worker: worker, at: offset, bytes)
            await perform(session.stored(channel: channel, durable: durable))
        case .appendChunk(let key, let stream, let text):
            try await attempts.appendOutput(key, stream, worker: worker, text: text)
        case .appendTail(let key, let stream, let offset, let bytes):
            try await attempts.appendTail(key, stream, worker: worker, at: offset, bytes)
        // The report carries the total and the digest; the frame only closes the books of the channel.
        case .endOutput: break
        // Taken before they come here.
        case .started, .complete: break
        case .send, .sendFrame, .admit, .answered, .claimed, .close, .note: break
        }
    }

    private func admit(_ hello: WorkerMessage.Hello) async throws {
        let admission: Admission
        do {
            admission = try await service.admit(hello, identity, link: self)
        } catch {
            let error = BerthError(wrapping: error)
            let isActing = service.registry.seat.isActing(at: service.time.uptime)
            switch error.code {
            // Another server may act for the worker by now.
            case .unavailable where !isActing: await perform(session.close(1013, error.message))
            // It is expected here, and nowhere else: it comes again.
            case .unavailable, .diskFull, .internal, .timedOut:
                log.error("worker not taken in", ["code": error.code, "error": error.message])
                await perform(session.close(1011, "the server could not take the worker in; connect again"))
            default: await perform(session.refuse(error))
            }
            return
        }
        guard !session.isClosed else {
            await service.disconnected(admission.workerID, identity, connection: admission.connection, heardAt: nil)
            return
        }
        workerID = admission.workerID
        connection = admission.connection
        changed.ring()
        await perform(session.admit(admission.ack, holding: admission.held, now: service.time.uptime))
        // From here on whatever becomes of them is told over this connection.
        let gone = try await service.attempts.goneSince(
            admission.held,
            worker: admission.workerID,
            organization: identity.organizationID
        )
        for key in gone {
            service.registry.release(admission.workerID, key)
            await forget(key)
        }
    }

    /// What is stale or unknown is dropped, and the worker told so; anything else is ours, so the connection ends with
    /// 1011 and the worker sends again what was not acknowledged.
    private func fail(_ action: WorkerAction, _ error: BerthError) async {
        let isRefusal = [.stale, .notFound, .illegalTransition].contains(error.code)
        guard isRefusal else {
            log.error("worker message not carried out", ["code": error.code, "error": error.message])
            await perform(session.close(1011, "the server could not store a message; connect again"))
            return
        }
        log.info("worker message refused", ["code": error.code, "reason": error.message])
        switch action {
        case .complete(let key, _): await forget(key)
        case .openOutput(let channel, let key, _, _), .append(let channel, let key, _, _, _):
            session.drop(channel: channel)
            let cancel = ServerMessage.Cancel(executionId: key.executionID.text, attempt: key.attempt)
            _ = await send(.cancel(cancel))
        default: break
        }
    }
}
