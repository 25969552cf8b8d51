import Base
import Domain
import WorkerProtocol
import Workers

// As `WorkerLink`, `WorkerService` and the workers' part of `ExecutionService`: what a session says is carried out.
extension MachineServer {
    func accept(_ connection: Connection) {
        let link = Link(WorkerSession(now: world.uptime, window: World.window))
        links[connection.number] = link
        if let deadline = link.session.deadline { add(.expire(connection), at: deadline) }
    }

    func receive(_ item: Upward, on connection: Connection) throws {
        guard let link = links[connection.number] else { return }
        switch item {
        case .message(let message): try perform(link.session.receive(message, now: world.uptime), connection)
        case .frame(let frame): try perform(link.session.receive(frame, now: world.uptime), connection)
        case .ping: break
        }
    }

    func gone(_ connection: Connection) throws {
        guard let link = links[connection.number] else { return }
        link.session.heard(at: Self.uptime(connection.heardAt))
        let heardAt = link.session.disconnected()
        links[connection.number] = nil
        guard let worker = link.worker, var entry = entries[worker], entry.number == link.number else { return }
        entry.connection = nil
        entry.isReady = false
        let lostAt = (heardAt ?? world.uptime) + ProtocolLimits.lostAfter
        entry.lostAt = lostAt
        entries[worker] = entry.held.isEmpty ? nil : entry
        add(.giveUpLost, at: lostAt)
    }

    func perform(_ actions: [WorkerAction], _ connection: Connection) throws {
        for action in actions {
            guard let link = links[connection.number] else { return }
            do {
                try perform(action, link, connection)
            } catch let error as BerthError {
                try fail(action, error, link, connection)
            }
        }
    }

    private func fail(_ action: WorkerAction, _ error: BerthError, _ link: Link, _ connection: Connection) throws {
        guard [.stale, .notFound, .illegalTransition].contains(error.code) else {
            return try perform(link.session.close(1011, "the server could not store a message"), connection)
        }
        world.trace("server: refused: \(error.message)")
        switch action {
        case .complete(let key, _): try forget(key, on: connection, link)
        case .openOutput(let channel, let key, _, _), .append(let channel, let key, _, _, _):
            link.session.drop(channel: channel)
            connection.sendDown(.message(cancel(key)), world)
        default: break
        }
    }

    private func perform(_ action: WorkerAction, _ link: Link, _ connection: Connection) throws {
        switch action {
        case .send(let message): connection.sendDown(.message(message), world)
        case .sendFrame(let frame): connection.sendDown(.frame(frame), world)
        case .admit(let hello): try admit(hello, link, connection)
        case .close(let code, let reason):
            world.trace("server closes connection \(connection.number): \(reason)")
            world.serverCloses(connection, code: code)
        default:
            guard let worker = link.worker else { return }
            try perform(action, link, connection, worker)
        }
    }

    private func perform(_ action: WorkerAction, _ link: Link, _ connection: Connection, _ worker: WorkerID) throws {
        switch action {
        case .becomeReady(let slots):
            guard entries[worker]?.number == link.number else { return }
            entries[worker]?.slots = slots
            entries[worker]?.isReady = true
            ring()
            if !world.mistakes.contains(.cancelLostOnReconnect) { try repeatCancels(worker) }
        case .started(let key):
            guard !link.begun.contains(where: { $0.key == key }) else { return }
            link.begun.append((key, world.wall))
            add(.recordStarts(connection), after: 4)
        case .complete(let key, let report):
            link.begun.removeAll { $0.key == key }
            try completed(key, worker, report)
        case .openOutput(let channel, let key, _, _):
            try requireOwner(key, worker)
            let durable = Int64(stored(key, action.stream).count)
            try perform(link.session.opened(channel: channel, key, action.stream, durable: durable), connection)
        case .append(let channel, let key, let stream, let offset, let bytes):
            try requireOwner(key, worker)
            let durable = try append(key, stream, at: offset, bytes)
            try perform(link.session.stored(channel: channel, durable: durable), connection)
        case .appendTail(let key, let stream, _, let bytes):
            try requireOwner(key, worker)
            let length = Int64(stored(key, stream).count)
            let limit = index(key.executionID).flatMap { rows[$0]?.order.headBytes } ?? 0
            _ = try append(key, stream, at: min(length, limit), bytes)
        default: break
        }
    }

    // MARK: - Hello

    private func admit(_ hello: WorkerMessage.Hello, _ link: Link, _ connection: Connection) throws {
        let worker = Self.workerIDs[connection.worker]
        let attempts = hello.attempts ?? []
        try requireStorage()
        let open = rows.compactMap { $0 }.filter { $0.machine.claim?.workerID == worker }
        var points: [ServerMessage.ResumePoint] = []
        var held: [AttemptKey] = []
        for row in open { live[AttemptKey(row.id, row.machine.claim?.attempt ?? 0)] = worker }
        for position in attempts {
            let key = AttemptKey(position.executionId, position.attempt)
            var point = ServerMessage.ResumePoint(
                executionId: key.executionID,
                attempt: key.attempt,
                action: position.hasEnded ? .forget : .kill,
                stdout: 0,
                stderr: 0
            )
            if isResumed(key, open) {
                point.action = .resume
                point.stdout = Int64(stored(key, .stdout).count)
                point.stderr = Int64(stored(key, .stderr).count)
                held.append(key)
            }
            points.append(point)
        }
        for row in open {
            guard let claim = row.machine.claim,
                !attempts.contains(where: { $0.executionId == row.id && $0.attempt == claim.attempt })
            else { continue }
            if row.machine.state == .assigned {
                try settle {
                    try change(row.id, worker: worker) { try $0.giveBack(attempt: claim.attempt, at: world.wall) }
                }
            } else {
                try lose(AttemptKey(row.id, claim.attempt), worker, "its worker came back without it")
            }
        }
        try point()
        connectionNumbers[connection.worker] += 1
        link.number = connectionNumbers[connection.worker]
        link.worker = worker
        let earlier = entries[worker]?.connection
        var entry = Entry(connection: connection, number: link.number)
        for key in held { entry.held[key.executionID] = key.attempt }
        entries[worker] = entry
        if let earlier, let old = links[earlier.number] {
            try perform(old.session.close(1008, "replaced by a newer connection"), earlier)
        }
        var ack = ServerMessage.Ack(workerId: hello.workerId, sessionToken: "")
        ack.protocol = ProtocolLimits.version
        ack.heartbeatMs = ProtocolLimits.heartbeat.wholeMilliseconds
        ack.resume = points
        try perform(link.session.admit(ack, holding: held, now: world.uptime), connection)
    }

    private func isResumed(_ key: AttemptKey, _ open: [Row]) -> Bool {
        if open.contains(where: { $0.id == key.executionID && $0.machine.claim?.attempt == key.attempt }) {
            return true
        }
        let row = index(key.executionID).flatMap { rows[$0] }
        if world.mistakes.contains(.dropTheFence) { return row?.machine.claim != nil }
        return world.mistakes.contains(.endAcceptedTwice) && row?.machine.state.isTerminal == true
    }

    private func repeatCancels(_ worker: WorkerID) throws {
        for row in rows.compactMap({ $0 }) {
            guard let claim = row.machine.claim, claim.workerID == worker, row.machine.cancelRequest != nil else {
                continue
            }
            try send(cancel(AttemptKey(row.id, claim.attempt)), to: worker)
        }
    }

    // MARK: - Words about attempts

    func recordStarts(_ connection: Connection) throws {
        guard let link = links[connection.number], let worker = link.worker else { return }
        while !link.begun.isEmpty {
            let (key, at) = link.begun.removeFirst()
            do {
                try requireOwner(key, worker)
                try change(key.executionID, worker: worker) { try $0.start(attempt: fenced(key, $0), at: at) }
            } catch let error as BerthError {
                try fail(.started(key), error, link, connection)
            }
        }
    }

    private func fenced(_ key: AttemptKey, _ machine: ExecutionMachine) -> Int {
        world.mistakes.contains(.dropTheFence) ? machine.claim?.attempt ?? key.attempt : key.attempt
    }

    private func completed(_ key: AttemptKey, _ worker: WorkerID, _ report: ExecutionReport) throws {
        if world.mistakes.contains(.endAcceptedTwice), let index = index(key.executionID), let row = rows[index],
            case .ended(let end) = row.machine.status, end.attempt != nil
        {
            let second = ExecutionEnd(outcome: report.outcome, attempt: key.attempt, endedAt: world.wall)
            rows[index]?.machine = ExecutionMachine(status: .ended(second), timeoutMs: row.order.timeoutMs)
            return try world.oracle.stored(index, rows[index]?.machine ?? row.machine, report: report, at: world.now)
        }
        try requireOwner(key, worker)
        try change(key.executionID, worker: worker, report: report) { machine in
            let wasOpen = !machine.state.isTerminal
            let effects = try machine.report(attempt: fenced(key, machine), report, at: world.wall)
            if wasOpen, let index = index(key.executionID) {
                for (number, mark) in [report.stdout, report.stderr].enumerated() {
                    guard let mark else { continue }
                    let stored = stored(key, OutputStream.allCases[number])
                    try world.oracle.reported(index, key, number, stored, mark)
                }
            }
            return effects
        }
    }

    private func requireOwner(_ key: AttemptKey, _ worker: WorkerID) throws {
        if let owner = live[key] {
            guard owner == worker else { throw BerthError.stale("worker", held: worker, current: owner) }
            return
        }
        if world.mistakes.contains(.dropTheFence) { return }
        guard let index = index(key.executionID), let claim = rows[index]?.machine.claim, claim.attempt == key.attempt,
            claim.workerID == worker
        else { throw BerthError.stale("attempt", held: key, current: "ended, or another") }
        live[key] = worker
    }

    // MARK: - Output

    func stored(_ key: AttemptKey, _ stream: OutputStream) -> [UInt8] {
        files[file(key)]?[stream == .stdout ? 0 : 1] ?? []
    }

    private func file(_ key: AttemptKey) -> AttemptKey {
        world.mistakes.contains(.dedupeByExecution) ? AttemptKey(key.executionID, 1) : key
    }

    private func append(_ key: AttemptKey, _ stream: OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>) throws
        -> Int64
    {
        try point()
        try requireStorage()
        let place = stream == .stdout ? 0 : 1
        var streams = files[file(key)] ?? [[], []]
        let length = streams[place].count
        guard offset <= length else { throw BerthError(.conflict, "a gap") }
        let fresh = bytes.dropFirst(min(length - Int(offset), bytes.count))
        if let torn = tornWrite, !fresh.isEmpty {
            streams[place] += fresh.prefix(torn)
            files[file(key)] = streams
            throw ServerDied()
        }
        streams[place] += fresh
        files[file(key)] = streams
        if world.mistakes.contains(.acknowledgeBeforeStoring) { add(.sync, after: 300) }
        let headBytes = index(key.executionID).flatMap { rows[$0]?.order.headBytes } ?? 0
        try world.oracle.output(key, place, streams[place], headBytes: headBytes, mark: nil)
        try point()
        return Int64(streams[place].count)
    }

    // MARK: - To the worker

    func send(_ message: ServerMessage, to worker: WorkerID) throws {
        guard let connection = entries[worker]?.connection, links[connection.number] != nil else { return }
        connection.sendDown(.message(message), world)
    }

    func forget(_ key: AttemptKey, at worker: WorkerID) throws {
        guard let connection = entries[worker]?.connection, let link = links[connection.number] else { return }
        try forget(key, on: connection, link)
    }

    private func forget(_ key: AttemptKey, on connection: Connection, _ link: Link) throws {
        link.session.forget(key)
        connection.sendDown(.message(.forget(.init(executionId: key.executionID, attempt: key.attempt))), world)
    }
}

extension WorkerAction {
    fileprivate var stream: OutputStream {
        switch self {
        case .openOutput(_, _, let stream, _), .append(_, _, let stream, _, _), .appendTail(_, let stream, _, _):
            stream
        default: .stdout
        }
    }
}
