internal import Base
internal import Domain
internal import EventLoop
internal import FoundationEssentials
internal import HolderProtocol
internal import OutputStore
internal import Relay
internal import Subprocess
internal import Terminals
internal import WorkerProtocol
internal import WorkspaceCalls

/// Owns the terminals of an environment. Their programs live in the holder, so they outlive this process; what belongs
/// to a terminal is its row, its scrollback and the holder's child of its id. Lives on the loop.
actor TerminalHouse {
    /// Programs on terminals at a time.
    private static let maximumLiving = 256
    /// Ended terminals whose bytes are kept; the oldest goes first.
    private static let maximumEnded = 32
    private static let killGrace = Duration.seconds(5)
    private static let roomPause = Duration.milliseconds(200)

    let services: Services
    private var terminals: [TerminalID: Terminal] = [:]
    /// Keeps the sum from going back.
    private var removedBytes: Int64 = 0
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(_ services: Services) {
        self.services = services
        (work, addWork) = AsyncStream.makeStream()
    }

    /// Whether a child of the holder's is a terminal's.
    static func owns(_ child: String) -> Bool { (try? TerminalID(child)) != nil }

    /// Looks after all terminals until its task is cancelled; their programs go on.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await item in work { group.addTask { await item() } }
        }
    }

    /// Takes up what a predecessor left.
    func recover() async throws {
        let children = Set(try await services.holder.list().map(\.id))
        for record in try await services.store.terminals() {
            let terminal = Terminal(
                record,
                scrollback: try Scrollback(path: path(of: record.id)),
                times: times(of: record.id),
                loop: services.loop
            )
            terminals[record.id] = terminal
            guard !terminal.hasEnded else { continue }
            if children.contains(record.id.text) {
                addWork.yield { [self] in await watch(record.id) }
            } else {
                await end(terminal, TerminalExit(isLost: true))
            }
        }
        // A row is written before its program is started and removed after it has ended: others are nobody's.
        for child in children.sorted() {
            guard let id = try? TerminalID(child), terminals[id] == nil else { continue }
            try? await services.holder.terminate(child, grace: .zero)
            addWork.yield { [services] in
                _ = try? await services.holder.exit(of: child)
                try? await services.holder.forget(child)
            }
        }
    }

    func path(of id: TerminalID) -> String { "\(services.layout.state)/terminals/\(id)" }

    /// Beside the segments, which makes it go with them.
    private func times(of id: TerminalID) -> TimeIndex { TimeIndex(path: path(of: id) + "/times") }

    private var inOrder: [Terminal] {
        terminals.values.sorted { ($0.record.createdAt, $0.record.id) < ($1.record.createdAt, $1.record.id) }
    }

    /// A terminal that has ended, with the scrollback that lies at a path of the same file system.
    func replace(_ record: TerminalRecord, scrollback: String) async throws {
        if let known = terminals[record.id] {
            guard known.hasEnded else { return }
            known.dismiss()
        }
        let target = path(of: record.id)
        if FileManager.default.fileExists(atPath: scrollback) {
            try? FileManager.default.removeItem(atPath: target)
            // The first terminal here may be one from elsewhere.
            try EnvironmentLayout.make("\(services.layout.state)/terminals", mode: 0o700)
            try FileManager.default.moveItem(atPath: scrollback, toPath: target)
        }
        terminals[record.id] = Terminal(
            record,
            scrollback: try Scrollback(path: target),
            times: times(of: record.id),
            loop: services.loop
        )
        try await services.store.put(record)
    }

    /// Oldest first.
    func terminals(of workspace: WorkspaceID) -> [Terminal] { inOrder.filter { $0.record.workspaceId == workspace } }

    private func terminal(_ id: TerminalID) throws(BerthError) -> Terminal {
        guard let terminal = terminals[id] else {
            throw BerthError(.notFound, "there is no terminal '\(id)' in this environment", field: "terminalId")
        }
        return terminal
    }
}

// Lives.
extension TerminalHouse {
    func create(_ wish: TerminalCreation) async throws -> TerminalStatus {
        try await services.store.checkNotFrozen(wish.workspaceId)
        // Repeated, it tells of the one that there is.
        if let known = terminals[wish.id] { return known.status }
        guard terminals.values.count(where: { !$0.hasEnded }) < Self.maximumLiving else {
            throw BerthError(
                .quotaExceeded,
                "there are \(Self.maximumLiving) terminals in this environment",
                remedy: "end some: 'berth terminal end'"
            )
        }
        if let other = inOrder.first(where: { $0.record.name == wish.name && !$0.hasEnded }) {
            throw BerthError(
                .conflict,
                "there is a terminal '\(wish.name)' already, \(other.record.id)",
                field: "name",
                remedy: "attach to it, or choose another name"
            )
        }
        let launch = try TerminalLaunch(wish, layout: services.layout)
        let record = TerminalRecord(
            id: wish.id,
            name: wish.name,
            workspaceId: wish.workspaceId,
            command: launch.arguments,
            directory: launch.directory,
            size: wish.size.isUsable ? wish.size : .standard,
            createdAt: services.time.now
        )
        let terminal = Terminal(
            record,
            scrollback: try Scrollback(path: path(of: wish.id)),
            times: times(of: wish.id),
            loop: services.loop
        )
        // Before the first suspension, so that the same wish cannot come in between.
        terminals[wish.id] = terminal
        do {
            try await services.store.put(record)
            let child = try await services.holder.spawn(launch.request(record, layout: services.layout))
            addWork.yield { [self] in await watch(wish.id, child) }
            return terminal.status
        } catch {
            terminals[wish.id] = nil
            try? await services.store.remove(wish.id)
            try? terminal.scrollback.remove()
            throw launch.explained(BerthError(wrapping: error))
        }
    }

    /// Ends what runs: the status then tells when it has ended.
    func end(_ ending: TerminalEnding) async throws -> TerminalStatus {
        let terminal = try terminal(ending.id)
        if !terminal.hasEnded { try await services.holder.terminate(ending.id.text, grace: Self.killGrace) }
        guard ending.remove else { return terminal.status }
        addWork.yield { [self] in
            _ = try? await services.holder.exit(of: ending.id.text)
            await remove(ending.id)
        }
        return terminal.status
    }

    func remove(_ id: TerminalID) async {
        guard let terminal = terminals.removeValue(forKey: id) else { return }
        removedBytes += terminal.traffic
        terminal.dismiss()
        do {
            try await services.store.remove(id)
            try terminal.scrollback.remove()
        } catch {
            services.log.warning("terminal not removed", ["terminal": id, "error": "\(error)"])
        }
    }

    /// From a program's start, or this worker's, to its end.
    private func watch(_ id: TerminalID, _ known: Child? = nil) async {
        guard let terminal = terminals[id] else { return }
        do {
            let child = if let known { known } else { try await services.holder.child(id.text) }
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try? await self.feed(terminal) }
                try await pump(terminal, child)
                group.cancelAll()
            }
            let exit = try await services.holder.exit(of: id.text)
            await end(terminal, TerminalExit(exit.cause))
        } catch is CancellationError {
            return
        } catch {
            guard !Task.isCancelled else { return }
            services.log.error("terminal lost", ["terminal": id, "error": "\(error)"])
            try? await services.holder.terminate(id.text, grace: .zero)
            await end(terminal, TerminalExit(isLost: true))
        }
    }

    private func feed(_ terminal: Terminal) async throws { try await terminal.feed() }

    /// Without room the bytes wait in the pipe, and the program for its reader.
    private func pump(_ terminal: Terminal, _ child: Child) async throws {
        while true {
            do {
                return try await terminal.pump(child)
            } catch let error as BerthError where error.code == .diskFull {
                services.log.warning("no room for a terminal's output", ["terminal": terminal.record.id])
                services.reserve.release()
                try await services.time.wait(for: Self.roomPause)
            }
        }
    }

    private func end(_ terminal: Terminal, _ exit: TerminalExit) async {
        await terminal.end(exit, at: services.time.now)
        do {
            try await services.store.put(terminal.record)
            try? await services.holder.forget(terminal.record.id.text)
        } catch {
            // Its row says that it runs; the next worker finds the holder's child, or none, and ends it again.
            services.log.error("end of a terminal not stored", ["terminal": terminal.record.id, "error": "\(error)"])
        }
        let ended = inOrder.filter(\.hasEnded)
        for old in ended.dropLast(Self.maximumEnded) { await remove(old.record.id) }
    }
}

// Questions.
extension TerminalHouse {
    /// For the question whether the environment is used.
    struct Use: Sendable {
        /// Programs that run on terminals.
        var open = 0
        /// Written and typed since this worker began, and written before.
        var bytes: Int64 = 0
    }

    var use: Use {
        Use(
            open: terminals.values.count(where: { !$0.hasEnded }),
            bytes: terminals.values.reduce(removedBytes) { $0 + $1.traffic }
        )
    }

    func list() -> [TerminalStatus] { inOrder.map(\.status) }

    func record(_ call: TerminalRecordingCall) throws(BerthError) -> ServiceStart {
        let terminal = try terminal(call.id)
        return { channel in RecordingEnd(terminal, channel).begin() }
    }

    func view(_ attachment: TerminalAttachment) throws(BerthError) -> ServiceStart {
        let terminal = try terminal(attachment.id)
        return { [services] channel in
            TerminalViewer(attachment, terminal, channel, loop: services.loop).begin()
        }
    }
}

extension TerminalExit {
    init(_ cause: Exit.Cause) {
        switch cause {
        case .code(let code): self.init(exitCode: code)
        case .signal(let signal): self.init(signal: signal)
        case .lost: self.init(isLost: true)
        }
    }
}
