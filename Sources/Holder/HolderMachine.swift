package import HolderProtocol

/// Which worker connection asked; numbers are never used twice.
package typealias ConnectionID = Int

package struct Inquiry: Equatable {
    package var connection: ConnectionID
    package var number: UInt64

    package init(connection: ConnectionID, number: UInt64) {
        self.connection = connection
        self.number = number
    }
}

/// What a guardian tells, see `berth_report`.
package enum GuardianReport: Equatable {
    case started(pid: Int32)
    case failed(step: SpawnStep, errno: Int32)
    case exited(Exit)
    /// The guardian closed its socket.
    case closed
}

package enum GuardianOrder: Equatable {
    case signal(Int32, SignalScope)
    case terminate(graceMs: Int32)
}

/// What the loop must do; in order.
package enum HolderAction: Equatable {
    case reply(Reply, to: Inquiry)
    /// A reply that carries the child's descriptors and their roles.
    case replyWithDescriptors(ChildStatus, to: Inquiry)
    case announce(ChildStatus)
    case launch(SpawnRequest)
    case order(id: String, GuardianOrder)
    case resize(id: String, columns: UInt16, rows: UInt16)
    case closeInput(id: String)
    case closeDescriptors(id: String)
    /// Closes the descriptors and frees the id, whose next child must not be taken for the one that never started.
    case abandon(id: String)
    /// A guardian died without a word: kill what it left to the holder.
    case killStrays
    case finish
}

/// The holder's decisions: which children there are and what each request and report does to them. No effects.
package struct HolderMachine {
    package static let maximumChildren = 4096

    private enum State {
        /// → running, or forgotten when the program cannot be executed.
        case starting(SpawnRequest, waiting: [Inquiry], startedAtMs: Int64)
        /// → exited.
        case running(pid: Int32, isTerminal: Bool, startedAtMs: Int64)
        /// → forgotten, once the guardian is gone and the worker has said so.
        case exited(Exit, isTerminal: Bool, startedAtMs: Int64)
    }

    private struct Child {
        var state: State
        var hasGuardian: Bool
        var isForgotten = false
    }

    private var children: [String: Child] = [:]
    private var order: [String] = []
    private var isStopping = false
    private let holderPID: Int32

    package init(holderPID: Int32) { self.holderPID = holderPID }

    package var statuses: [ChildStatus] { order.compactMap(status) }

    package mutating func handle(_ request: Request, from inquiry: Inquiry, nowMs: Int64) -> [HolderAction] {
        switch request {
        case .hello(let version):
            guard version == holderProtocolVersion else {
                return refuse(.unsupportedVersion, "this holder speaks version \(holderProtocolVersion)", inquiry)
            }
            return [.reply(.hello(version: holderProtocolVersion, holderPID: holderPID), to: inquiry)]
        case .ping: return [.reply(.done, to: inquiry)]
        case .spawn(let spawn): return handleSpawn(spawn, from: inquiry, nowMs: nowMs)
        case .list: return [.reply(.children(statuses), to: inquiry)]
        case .descriptors(let id):
            guard let status = status(id) else { return unknown(id, inquiry) }
            return [.replyWithDescriptors(status, to: inquiry)]
        case .signal(let id, let number, let scope):
            guard (0...64).contains(number) else { return refuse(.invalidRequest, "no signal \(number)", inquiry) }
            return order(.signal(number, scope), for: id, inquiry)
        case .terminate(let id, let graceMs):
            return order(.terminate(graceMs: graceMs), for: id, inquiry)
        case .resize(let id, let columns, let rows):
            guard let status = status(id) else { return unknown(id, inquiry) }
            guard status.isTerminal else { return refuse(.notATerminal, "\(id) has no terminal", inquiry) }
            return [.resize(id: id, columns: columns, rows: rows), .reply(.done, to: inquiry)]
        case .closeInput(let id):
            guard children[id] != nil else { return unknown(id, inquiry) }
            return [.closeInput(id: id), .reply(.done, to: inquiry)]
        case .forget(let id): return forget(id, inquiry)
        }
    }

    private mutating func handleSpawn(
        _ request: SpawnRequest,
        from inquiry: Inquiry,
        nowMs: Int64
    ) -> [HolderAction] {
        if let child = children[request.id], let status = status(request.id) {
            guard case .starting(let known, var waiting, let startedAtMs) = child.state else {
                return [.replyWithDescriptors(status, to: inquiry)]
            }
            waiting.append(inquiry)
            children[request.id]?.state = .starting(known, waiting: waiting, startedAtMs: startedAtMs)
            return []
        }
        if isStopping { return refuse(.stopping, "the holder is stopping", inquiry) }
        if children.count >= Self.maximumChildren {
            return refuse(.tooMany, "the holder already has \(children.count) children; forget some", inquiry)
        }
        if let reason = request.defect { return refuse(.invalidRequest, reason, inquiry) }
        children[request.id] = Child(
            state: .starting(request, waiting: [inquiry], startedAtMs: nowMs),
            hasGuardian: true
        )
        order.append(request.id)
        return [.launch(request)]
    }

    private mutating func forget(_ id: String, _ inquiry: Inquiry) -> [HolderAction] {
        // Forgetting twice is the same as once: the worker may have died between asking and hearing.
        guard let child = children[id] else { return [.reply(.done, to: inquiry)] }
        guard case .exited = child.state else { return refuse(.stillRunning, "\(id) is still running", inquiry) }
        if child.hasGuardian { children[id]?.isForgotten = true } else { remove(id) }
        return [.closeDescriptors(id: id), .reply(.done, to: inquiry)]
    }

    private func order(_ order: GuardianOrder, for id: String, _ inquiry: Inquiry) -> [HolderAction] {
        guard let child = children[id] else { return unknown(id, inquiry) }
        // An ended child with leftovers still has its guardian; without one there is nothing to reach.
        return child.hasGuardian
            ? [.order(id: id, order), .reply(.done, to: inquiry)] : [.reply(.done, to: inquiry)]
    }

    private mutating func remove(_ id: String) {
        children[id] = nil
        order.removeAll { $0 == id }
    }

    private func status(_ id: String) -> ChildStatus? {
        guard let child = children[id], !child.isForgotten else { return nil }
        switch child.state {
        case .starting(let request, _, let startedAtMs):
            return ChildStatus(id: id, isTerminal: request.isTerminal, state: .starting, startedAtMs: startedAtMs)
        case .running(let pid, let isTerminal, let startedAtMs):
            return ChildStatus(id: id, isTerminal: isTerminal, state: .running(pid: pid), startedAtMs: startedAtMs)
        case .exited(let exit, let isTerminal, let startedAtMs):
            return ChildStatus(id: id, isTerminal: isTerminal, state: .exited(exit), startedAtMs: startedAtMs)
        }
    }

    private func refuse(_ code: Failure.Code, _ message: String, _ inquiry: Inquiry) -> [HolderAction] {
        [.reply(.failure(Failure(code: code, message: message)), to: inquiry)]
    }

    private func unknown(_ id: String, _ inquiry: Inquiry) -> [HolderAction] {
        refuse(.unknownChild, "there is no child \(id)", inquiry)
    }
}

extension HolderMachine {
    /// A guardian reported, or its socket closed.
    package mutating func guardian(of id: String, reports report: GuardianReport) -> [HolderAction] {
        guard let child = children[id] else { return [] }
        switch (report, child.state) {
        case (.started(let pid), .starting(let request, let waiting, let startedAtMs)):
            children[id]?.state = .running(pid: pid, isTerminal: request.isTerminal, startedAtMs: startedAtMs)
            guard let status = status(id) else { return [] }
            return waiting.map { .replyWithDescriptors(status, to: $0) }
        case (.failed(let step, let errno), .starting(_, let waiting, _)):
            remove(id)
            let failure = Failure(
                code: .spawnFailed,
                step: step,
                errno: errno,
                message: "the child could not be started"
            )
            return [.abandon(id: id)] + waiting.map { .reply(.failure(failure), to: $0) } + finishIfDone()
        case (.exited(let exit), .running(_, let isTerminal, let startedAtMs)):
            children[id]?.state = .exited(exit, isTerminal: isTerminal, startedAtMs: startedAtMs)
            return status(id).map { [.announce($0)] } ?? []
        case (.closed, _): return guardianClosed(id, child.state)
        default: return []
        }
    }

    private mutating func guardianClosed(_ id: String, _ state: State) -> [HolderAction] {
        children[id]?.hasGuardian = false
        switch state {
        case .exited:
            if children[id]?.isForgotten == true { remove(id) }
            return finishIfDone()
        case .starting(_, let waiting, _):
            remove(id)
            let failure = Failure(code: .spawnFailed, step: .fork, message: "the child's guardian was killed")
            return [.killStrays] + waiting.map { .reply(.failure(failure), to: $0) } + [.closeDescriptors(id: id)]
                + finishIfDone()
        case .running(_, let isTerminal, let startedAtMs):
            let exit = Exit(cause: .lost, userMs: 0, systemMs: 0, maxResidentBytes: 0, hasLeftovers: false)
            children[id]?.state = .exited(exit, isTerminal: isTerminal, startedAtMs: startedAtMs)
            return [.killStrays] + (status(id).map { [.announce($0)] } ?? []) + finishIfDone()
        }
    }

    /// The holder itself was told to end: every tree ends first.
    package mutating func stop(graceMs: Int32) -> [HolderAction] {
        isStopping = true
        let living = order.filter { children[$0]?.hasGuardian == true }
        return living.isEmpty ? [.finish] : living.map { .order(id: $0, .terminate(graceMs: graceMs)) }
    }

    private func finishIfDone() -> [HolderAction] {
        isStopping && !order.contains { children[$0]?.hasGuardian == true } ? [.finish] : []
    }
}

extension SpawnRequest {
    var isTerminal: Bool { if case .terminal = mode { true } else { false } }

    /// What makes this request impossible whatever the machine's state, nil when nothing does.
    var defect: String? {
        if id.isEmpty || id.utf8.count > 256 { return "a child's id has 1 to 256 bytes" }
        if arguments.isEmpty || arguments.first == "" { return "there is no program to start" }
        let hasNul = (arguments + environment + [directory, id]).contains { $0.utf8.contains(0) }
        if hasNul { return "arguments, environment and directory hold no NUL byte" }
        if !environment.allSatisfy({ $0.utf8.dropFirst().contains(UInt8(ascii: "=")) }) {
            return "environment entries look like NAME=value"
        }
        if !directory.isEmpty && !directory.utf8.starts(with: "/".utf8) { return "the directory is not absolute" }
        if isTerminal && input != .null { return "a terminal is its own input" }
        return nil
    }
}
