internal import Base
internal import Glibc
internal import HolderProtocol
internal import Subprocess
internal import WorkspaceCalls
internal import WorkspaceTypes

/// What runs beneath this environment's holder, and signals for it. Nothing else of the machine is seen, though the
/// provider may show it.
struct ProcessHouse: Sendable {
    let services: Services

    init(_ services: Services) { self.services = services }

    func list() async throws -> [EnvironmentProcess] { try await inventory() }

    /// The process was looked at right before: one that took its number since then has another start.
    func signal(_ call: ProcessSignal) async throws -> EnvironmentProcess {
        guard (1...64).contains(call.signal) else {
            throw BerthError(.invalidValue, "\(call.signal) is no signal", field: "signal", remedy: "1 to 64")
        }
        let all = try await inventory()
        guard let found = all.first(where: { $0.pid == call.pid }),
            // The clock's reading of a start may differ a little from one look to the next.
            call.startedAtMs.map({ abs($0 - found.startedAt.milliseconds) < 1000 }) ?? true
        else {
            throw BerthError(
                .notFound,
                "there is no such process \(call.pid) in this environment",
                field: "pid",
                remedy: "see 'berth ps'"
            )
        }
        guard found.isSignallable else {
            throw BerthError(
                .forbidden,
                "process \(call.pid) is Berth's own",
                field: "pid",
                remedy: "stop the environment to end all of it: 'berth env stop'"
            )
        }
        guard kill(call.pid, call.signal) == 0 else {
            let code = errno
            throw BerthError(
                code == ESRCH ? .notFound : .forbidden,
                "process \(call.pid) cannot be signalled: \(String(cString: strerror(code)))",
                field: "pid"
            )
        }
        return found
    }

    private func inventory() async throws -> [EnvironmentProcess] {
        var owners: [Int32: String] = [:]
        for child in try await services.holder.list() {
            // `exec_…:2` is the second attempt of an execution.
            if case .running(let pid) = child.state { owners[pid] = String(child.id.prefix { $0 != ":" }) }
        }
        return await Self.read(
            owners: owners,
            agent: services.layout.agentIdentity?.uid ?? geteuid(),
            bootedAt: services.time.now - services.time.uptime
        )
    }

    @concurrent private static func read(
        owners: [Int32: String],
        agent: UInt32,
        bootedAt: Timestamp,
        holder: pid_t = getppid(),
        worker: pid_t = getpid()
    ) async -> [EnvironmentProcess] {
        let accounts = EnvironmentLayout.accounts(in: EnvironmentLayout.contents("/etc/passwd"))
        var children: [pid_t: [ProcessEntry]] = [:]
        for entry in ProcessEntry.all() where entry.id != worker { children[entry.parent, default: []].append(entry) }
        var found: [EnvironmentProcess] = []
        var open: [(entry: ProcessEntry, owner: String?)] = (children[holder] ?? []).map { ($0, nil) }
        let tick = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
        while let (entry, inherited) = open.popLast() {
            let own = children[entry.id] ?? []
            let owner = owners[entry.id] ?? inherited
            open += own.map { ($0, owner) }
            // The holder's guardian of a child, a process of Berth's that only waits.
            if entry.parent == holder, own.contains(where: { owners[$0.id] != nil }) { continue }
            found.append(
                EnvironmentProcess(
                    pid: entry.id,
                    parent: entry.parent,
                    user: accounts.first { $0.uid == entry.user }?.name ?? "\(entry.user)",
                    state: entry.state,
                    cpuMs: entry.ticks * 1000 / tick,
                    memoryBytes: entry.pages * page,
                    startedAt: Timestamp(milliseconds: bootedAt.milliseconds + entry.startTicks * 1000 / tick),
                    command: entry.command,
                    owner: owner,
                    isSignallable: entry.user == agent
                )
            )
        }
        return found.sorted { $0.pid < $1.pid }
    }
}

extension Timestamp {
    fileprivate static func - (moment: Timestamp, uptime: Uptime) -> Timestamp {
        Timestamp(milliseconds: moment.milliseconds - Int64(uptime.nanoseconds / 1_000_000))
    }
}
