internal import AgentSessions
internal import Base
internal import Carriage
internal import Domain
internal import FoundationEssentials
internal import Glibc
internal import SessionHost
internal import WorkerProtocol

// Agent sessions on their way.
extension HandOverHouse {
    /// Throws `conflict`, with the way out, while an agent has a turn in the workspace, or a fixer is there.
    func checkTurns(in workspace: WorkspaceID) async throws {
        if let turn = await sessions.turns(in: workspace).first {
            throw BerthError(
                .conflict,
                "the agent session '\(turn.name)' "
                    + (turn.isWaiting ? "waits for your answer" : turn.workflow == "ratchet" ? "fixes" : "works"),
                remedy: turn.isWaiting
                    ? "answer it, or stop it with 'berth session stop'"
                    : "wait for its end with --wait, or stop it with 'berth session stop'"
            )
        }
        guard await !sessions.workflows(in: workspace).contains("ratchet") else {
            throw BerthError(
                .conflict,
                "a session of the workflow 'ratchet' is in the workspace",
                remedy: "wait for its end with --wait, or stop it with 'berth session stop'"
            )
        }
    }

    /// Keeps the sessions of a packed workspace until it is settled.
    func stageSessions(_ file: CInt, in directory: String) throws {
        lseek(file, 0, SEEK_SET)
        var reader = EntryReader(file)
        while let entry = try reader.next() {
            guard entry.kind == .session else { continue }
            let bytes = try reader.whole(upTo: 1 << 30)
            let archive = try JSONText.decode(AgentSessionArchive.self, from: bytes)
            try Data(bytes).write(to: URL(filePath: "\(directory)/\(archive.record.id).session"))
        }
    }

    /// They take the place of those that an earlier version of the workspace had here. Safe to repeat.
    func adoptSessions(from directory: String, _ workspace: HandedWorkspace) async throws {
        guard FileManager.default.fileExists(atPath: directory) else { return }
        let checkout = "\(services.layout.workspaces)/\(workspace.directory)"
        var archives: [AgentSessionArchive] = []
        var transcripts: [AgentSessionID: String] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        where name.hasSuffix(".session") {
            guard let bytes = FileManager.default.contents(atPath: "\(directory)/\(name)") else { continue }
            let archive = try JSONText.decode(AgentSessionArchive.self, from: Array(bytes))
            archives.append(archive)
            transcripts[archive.record.id] = transcript(of: archive, checkout)
        }
        try await sessions.discard(workspace: workspace.workspaceId)
        try await sessions.adopt(
            archives,
            workspace: workspace.workspaceId,
            directory: checkout,
            transcripts: transcripts
        )
    }

    /// Where the agent's own file lies here; nil where it keeps none.
    private func transcript(of archive: AgentSessionArchive, _ checkout: String) -> String? {
        let home = services.layout.agent.home
        guard let path = archive.transcriptPath else { return nil }
        if let codex = path.firstRange(of: "/.codex/") { return "\(home)/.codex/\(path[codex.upperBound...])" }
        guard archive.record.agent == .claude, let id = archive.record.agentSessionID else { return nil }
        return AgentSessionHouse.claudeTranscript(id, in: checkout, home: home)
    }
}
