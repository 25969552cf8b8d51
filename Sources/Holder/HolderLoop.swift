internal import CShims
internal import Glibc
internal import HolderProtocol

/// The holder's one thread: waits on signals, the listener, workers and guardians, and carries out what
/// ``HolderMachine`` and ``WorkerSupervisor`` decide. Owns every descriptor it names.
struct HolderLoop {
    private static let maximumConnections = 8
    /// How long the worker may take to end by itself after the last child has.
    private static let workerPatienceMs: Int64 = 1000
    /// How long after its grace a tree that does not end may hold up the holder's own end.
    private static let stopPatienceMs: Int64 = 5000

    private let options: HolderOptions
    private let listener: Int32
    private let signals: Int32
    private var machine = HolderMachine(holderPID: getpid())
    private var supervisor: WorkerSupervisor?
    private var connections: [WorkerConnection] = []
    private var children: [ChildResources] = []
    private var nextConnection: ConnectionID = 1
    private var stopAtMs: Int64?
    private var finishAtMs: Int64?

    init(options: HolderOptions, listener: Int32, signals: Int32) {
        self.options = options
        self.listener = listener
        self.signals = signals
        if !options.worker.isEmpty { supervisor = WorkerSupervisor(nowMs: Self.uptimeMs) }
    }

    /// Returns when every child has ended after SIGTERM.
    mutating func run() {
        while true {
            startWorkerIfDue()
            if let stopAtMs, stopAtMs <= Self.uptimeMs { finish() }
            if let finishAtMs, supervisor?.pid == nil || finishAtMs <= Self.uptimeMs { return }
            waitAndHandle()
        }
    }

    private mutating func waitAndHandle() {
        var watched = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        watched.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0))
        for connection in connections {
            let events = connection.hasBacklog ? POLLIN | POLLOUT : POLLIN
            watched.append(pollfd(fd: connection.socket, events: Int16(events), revents: 0))
        }
        let firstChild = watched.count
        for child in children where child.control >= 0 {
            watched.append(pollfd(fd: child.control, events: Int16(POLLIN), revents: 0))
        }
        guard poll(&watched, nfds_t(watched.count), timeoutMs) > 0 else { return }
        if watched[0].revents != 0 { handleSignals() }
        for entry in watched[firstChild...] where entry.revents != 0 { handleGuardian(entry.fd) }
        for entry in watched[2..<firstChild] where entry.revents != 0 { handleConnection(entry.fd) }
        if watched[1].revents != 0 { acceptConnection() }
    }

    private var timeoutMs: Int32 {
        let starts = finishAtMs == nil ? supervisor?.wakeAtMs : nil
        guard let wake = [starts, stopAtMs, finishAtMs].compactMap(\.self).min() else { return -1 }
        return Int32(clamping: max(0, wake - Self.uptimeMs))
    }

    static var uptimeMs: Int64 { milliseconds(CLOCK_BOOTTIME) }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

// Signals and the worker's process.
extension HolderLoop {
    private mutating func startWorkerIfDue() {
        guard finishAtMs == nil, let isDue = supervisor?.isDue(nowMs: Self.uptimeMs), isDue else { return }
        var environment: [String] = []
        var entry = environ
        while let text = entry.pointee {
            environment.append(String(cString: text))
            entry += 1
        }
        environment.removeAll { $0.utf8.starts(with: "BERTH_HOLD_SOCKET=".utf8) }
        environment.append("BERTH_HOLD_SOCKET=\(options.socketPath)")
        let pid = withCStrings(options.worker) { argv in
            withCStrings(environment) { envp in berth_start_worker(argv, envp) }
        }
        if pid > 0 {
            supervisor?.started(pid: pid, nowMs: Self.uptimeMs)
        } else {
            supervisor?.couldNotStart(nowMs: Self.uptimeMs)
        }
    }

    private mutating func handleSignals() {
        while true {
            switch berth_next_signal(signals) {
            case 0: return
            case SIGCHLD: reap()
            case SIGTERM, SIGINT:
                stopAtMs = stopAtMs ?? Self.uptimeMs + Int64(options.graceMs) + Self.stopPatienceMs
                perform(machine.stop(graceMs: options.graceMs))
            default: break
            }
        }
    }

    /// Guardians tell of their end by their socket; here they and strays only stop being zombies.
    private mutating func reap() {
        var status: Int32 = 0
        while true {
            let pid = waitpid(-1, &status, WNOHANG)
            guard pid > 0 else { return }
            _ = supervisor?.ended(pid: pid, nowMs: Self.uptimeMs)
        }
    }
}

// Workers' connections.
extension HolderLoop {
    private mutating func acceptConnection() {
        let socket = UnixSocket.accept(on: listener)
        guard socket >= 0 else { return }
        let uid = berth_peer_uid(socket)
        guard uid == Int64(geteuid()) || uid == 0, connections.count < Self.maximumConnections else {
            close(socket)
            return
        }
        connections.append(WorkerConnection(id: nextConnection, socket: socket))
        nextConnection += 1
    }

    private mutating func handleConnection(_ socket: Int32) {
        guard let index = connections.firstIndex(where: { $0.socket == socket }) else { return }
        let id = connections[index].id
        let isOpen = connections[index].flush() && connections[index].receive()
        // Requests that arrived before the end still count.
        while let position = connections.firstIndex(where: { $0.id == id }) {
            do {
                guard let incoming = try connections[position].nextRequest() else { break }
                let inquiry = Inquiry(connection: id, number: incoming.number)
                perform(
                    machine.handle(incoming.request, from: inquiry, nowMs: Self.milliseconds(CLOCK_REALTIME)),
                    input: incoming.descriptor
                )
                if let descriptor = incoming.descriptor { close(descriptor) }
            } catch {
                return dropConnection(id)
            }
        }
        if !isOpen { dropConnection(id) }
    }

    private mutating func dropConnection(_ id: ConnectionID) {
        guard let index = connections.firstIndex(where: { $0.id == id }) else { return }
        connections[index].close()
        connections.remove(at: index)
    }

    private mutating func send(_ message: HolderMessage, descriptors: [Int32] = [], to id: ConnectionID) {
        guard let index = connections.firstIndex(where: { $0.id == id }) else { return }
        if !connections[index].send(message, descriptors: descriptors) { dropConnection(id) }
    }
}

// Children.
extension HolderLoop {
    private mutating func handleGuardian(_ control: Int32) {
        guard let index = children.firstIndex(where: { $0.control == control }) else { return }
        let id = children[index].id
        while true {
            var report = berth_report()
            let count = recv(control, &report, MemoryLayout<berth_report>.size, Int32(MSG_DONTWAIT))
            if count == MemoryLayout<berth_report>.size {
                if let told = GuardianReport(report) { perform(machine.guardian(of: id, reports: told)) }
                if children.contains(where: { $0.control == control && $0.id == id }) { continue }
                return
            }
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            break
        }
        // The child may have been forgotten, and its resources gone, by what was just performed.
        guard let position = children.firstIndex(where: { $0.control == control && $0.id == id }) else { return }
        children[position].closeControl()
        children[position].guardianPID = -1
        if children[position].held.isEmpty { children.remove(at: position) }
        perform(machine.guardian(of: id, reports: .closed))
    }

    private mutating func perform(_ actions: [HolderAction], input: Int32? = nil) {
        for action in actions { perform(action, input: input) }
    }

    private mutating func perform(_ action: HolderAction, input: Int32?) {
        switch action {
        case .reply(let reply, let inquiry): send(.reply(reply, to: inquiry.number), to: inquiry.connection)
        case .replyWithDescriptors(let status, let inquiry):
            let held = children.first { $0.id == status.id }?.held ?? []
            let reply = Reply.child(status, roles: held.map(\.role))
            send(.reply(reply, to: inquiry.number), descriptors: held.map(\.descriptor), to: inquiry.connection)
        case .announce(let status):
            for id in connections.map(\.id) { send(.event(.exited(status)), to: id) }
        case .launch(let request): launch(request, input: input)
        case .order(let id, let order): self.order(order, to: id)
        case .resize(let id, let columns, let rows):
            guard let held = children.first(where: { $0.id == id })?.held else { return }
            for entry in held where entry.role == .terminal {
                _ = berth_resize_terminal(entry.descriptor, columns, rows)
            }
        case .closeInput(let id): withChild(id) { $0.close(.input) }
        case .closeDescriptors(let id):
            withChild(id) { $0.closeHeld() }
            children.removeAll { $0.id == id && $0.control < 0 }
        case .abandon(let id):
            withChild(id) { child in
                child.closeHeld()
                child.id = ""
            }
            children.removeAll { $0.id.isEmpty && $0.control < 0 }
        case .killStrays: killStrays()
        case .finish: finish()
        }
    }

    private mutating func withChild(_ id: String, _ body: (inout ChildResources) -> Void) {
        guard let index = children.firstIndex(where: { $0.id == id }) else { return }
        body(&children[index])
    }

    private mutating func launch(_ request: SpawnRequest, input: Int32?) {
        do {
            children.append(
                try ChildResources.launch(request, input: input, hiddenPaths: options.hiddenPaths)
            )
        } catch {
            perform(machine.guardian(of: request.id, reports: .failed(step: error.step, errno: error.errno)))
        }
    }

    private func order(_ order: GuardianOrder, to id: String) {
        guard let control = children.first(where: { $0.id == id })?.control, control >= 0 else { return }
        var message = berth_order()
        switch order {
        case .signal(let number, let scope):
            message.kind = UInt32(BERTH_ORDER_SIGNAL.rawValue)
            message.value = number
            message.scope = UInt32(scope.rawValue)
        case .terminate(let graceMs):
            message.kind = UInt32(BERTH_ORDER_TERMINATE.rawValue)
            message.value = graceMs
        }
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        _ = Glibc.send(control, &message, MemoryLayout<berth_order>.size, flags)
    }

    private func killStrays() {
        var kept = children.map(\.guardianPID).filter { $0 > 0 }
        if let worker = supervisor?.pid { kept.append(worker) }
        _ = berth_kill_strays(kept, Int32(kept.count))
    }

    private mutating func finish() {
        stopAtMs = nil
        guard finishAtMs == nil else { return }
        if let pid = supervisor?.pid { kill(pid, SIGTERM) }
        finishAtMs = Self.uptimeMs + Self.workerPatienceMs
    }
}

extension GuardianReport {
    fileprivate init?(_ report: berth_report) {
        switch report.kind {
        case UInt32(BERTH_REPORT_STARTED.rawValue): self = .started(pid: report.pid)
        case UInt32(BERTH_REPORT_FAILED.rawValue):
            self = .failed(step: SpawnStep(rawValue: report.step) ?? .fork, errno: report.error)
        case UInt32(BERTH_REPORT_EXITED.rawValue):
            let signal = report.status & 0x7F
            self = .exited(
                Exit(
                    cause: signal == 0 ? .code((report.status >> 8) & 0xFF) : .signal(signal),
                    userMs: Int64(report.user_microseconds / 1000),
                    systemMs: Int64(report.system_microseconds / 1000),
                    maxResidentBytes: Int64(report.max_rss_kilobytes) * 1024,
                    hasLeftovers: report.has_leftovers != 0
                )
            )
        default: return nil
        }
    }
}
