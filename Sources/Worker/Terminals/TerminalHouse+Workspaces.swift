internal import Base
internal import Domain
internal import HolderProtocol
internal import Subprocess
internal import Terminals
internal import WorkerProtocol

// For those who start programs of a workspace on terminals.
extension TerminalHouse {
    private static let endGrace = Duration.seconds(5)

    /// The newest of that name, living or ended.
    func latest(named name: String) -> TerminalStatus? { list().last { $0.name == name } }

    /// The process number of what runs on a terminal; it leads its session.
    func process(of id: TerminalID) async -> Int32? {
        guard let child = try? await services.holder.list().first(where: { $0.id == id.text }),
            case .running(let process) = child.state
        else { return nil }
        return process
    }

    /// Ends the program and all that it started, and returns when that is over.
    func endAndWait(_ id: TerminalID) async throws {
        try await services.holder.terminate(id.text, grace: Self.endGrace)
        _ = try? await services.holder.exit(of: id.text)
        try await until(id) { $0.endedAt != nil }
    }

    /// Ends what runs on the terminals of a workspace.
    func endAll(of workspace: WorkspaceID) async throws {
        for terminal in list() where terminal.workspaceId == workspace && terminal.endedAt == nil {
            try await endAndWait(terminal.id)
        }
    }

    /// Of a workspace that is no more.
    func removeEnded(of workspace: WorkspaceID) async {
        for terminal in terminals(of: workspace) where terminal.hasEnded { await remove(terminal.record.id) }
    }

    /// The end is known here a moment after the holder tells it.
    private func until(_ id: TerminalID, _ isTrue: (TerminalStatus) -> Bool) async throws {
        let limit = services.time.uptime + Self.endGrace
        while services.time.uptime < limit, let status = list().first(where: { $0.id == id }), !isTrue(status) {
            try await services.time.wait(for: .milliseconds(10))
        }
    }
}
