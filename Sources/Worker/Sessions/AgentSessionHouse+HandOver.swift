internal import AgentSessions
internal import Base
internal import Domain
internal import Glibc
internal import SessionHost

/// A turn that keeps a workspace from being handed over.
struct AgentTurn: Sendable, Equatable {
    var sessionID: AgentSessionID
    var name: String
    var workflow: String
    /// For a person's answer.
    var isWaiting: Bool
}

/// An agent session on its way to another environment: its row, its log, and where the agent's own file lies.
struct AgentSessionArchive: Sendable, Codable, Equatable {
    var record: SessionRecord
    var events: [LoggedEvent]
    /// nil: the agent keeps none, or none was made yet.
    var transcriptPath: String?
}

// Hand-over.
extension AgentSessionHouse {
    /// Turns that run, wait for a person, or wait in a queue.
    func turns(in workspace: WorkspaceID) -> [AgentTurn] {
        sessions(in: workspace).map(\.record).filter { $0.status == .running }.map { record in
            AgentTurn(
                sessionID: record.id,
                name: record.name,
                workflow: record.workflow,
                isWaiting: !record.requests.isEmpty
            )
        }
    }

    /// Sessions of the workspace for whom a workflow is under way: they were not stopped.
    func workflows(in workspace: WorkspaceID) -> [String] {
        sessions(in: workspace).map(\.record).filter { !$0.isStopped }.map(\.workflow)
    }

    /// Ends the agents of a workspace and lets none begin; durable when it returns.
    func freeze(workspace: WorkspaceID) async throws {
        let all = sessions(in: workspace)
        for session in all { try await session.perform { $0.freeze() } }
        for session in all { try await session.idle() }
    }

    /// Takes ``freeze(workspace:)`` back.
    func thaw(workspace: WorkspaceID) async throws {
        for session in sessions(in: workspace) { try await session.perform { $0.thaw() } }
    }

    /// All of a frozen workspace.
    func export(workspace: WorkspaceID) async throws -> [AgentSessionArchive] {
        var archives: [AgentSessionArchive] = []
        for session in sessions(in: workspace) {
            let record = session.record
            let events = try await services.store.events(of: record.id, after: 0, limit: .max)
            archives.append(AgentSessionArchive(record: record, events: events, transcriptPath: transcript(of: record)))
        }
        return archives
    }

    /// Takes what ``export(workspace:)`` gave elsewhere. Repeated, what is here already stays.
    /// - Parameters:
    ///   - directory: the checkout, absolute.
    ///   - transcripts: where the agents' own files lie now.
    func adopt(
        _ archives: [AgentSessionArchive],
        workspace: WorkspaceID,
        directory: String,
        transcripts: [AgentSessionID: String]
    ) async throws {
        for archive in archives where sessions[archive.record.id] == nil {
            var machine = SessionMachine(archive.record, now: services.time.now)
            machine.move(to: workspace, directory: directory, transcript: transcripts[archive.record.id])
            machine.finish()
            let added = try machine.events.map { event in
                LoggedEvent(seq: event.seq, json: String(decoding: try JSONText.encode(event), as: UTF8.self))
            }
            try await services.store.commit(machine.record, archive.events + added)
            _ = add(machine.record)
        }
    }

    /// Removes the sessions of a workspace, which must have no processes.
    func discard(workspace: WorkspaceID) async throws {
        for session in sessions(in: workspace) {
            try await services.store.remove(session.record.id)
            drop(session.record.id)
        }
    }

    /// The Claude CLI's rule: every byte of the directory's path that is no letter or digit is a hyphen.
    nonisolated func transcript(of record: SessionRecord) -> String? {
        if let path = record.transcriptPath { return path }
        guard record.agent == .claude, let id = record.agentSessionID else { return nil }
        let path = Self.claudeTranscript(id, in: record.directory, home: services.layout.agent.home)
        return access(path, R_OK) == 0 ? path : nil
    }

    static func claudeTranscript(_ id: String, in directory: String, home: String) -> String {
        let name = String(
            directory.unicodeScalars.map { scalar -> Character in
                scalar.isASCII && scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    ? Character(scalar) : "-"
            }
        )
        return "\(home)/.claude/projects/\(name)/\(id).jsonl"
    }
}
