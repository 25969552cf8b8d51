import API
import Base
import Client
import Domain
import EventLoop

/// A workspace for a person.
enum WorkspaceText {
    static func text(_ workspace: Workspace, _ terminal: Terminal) -> String {
        var text = terminal.style.bold(workspace.name) + "\n"
        func line(_ name: String, _ value: String?) {
            if let value, !value.isEmpty { text += "  \(name.padded(to: 13))\(value)\n" }
        }
        line("id", workspace.id.text)
        line("status", workspace.status.rawValue)
        if let message = workspace.errorMessage {
            line("", message)
            if let remedy = workspace.errorRemedy { line("", "→ \(remedy)") }
        }
        line("branch", workspace.branch)
        line("environment", workspace.environmentId?.text)
        line("location", workspace.location.rawValue)
        line("directory", workspace.directory)
        line("from", source(workspace))
        line("description", workspace.description?.split(whereSeparator: \.isNewline).first.map { String($0) })
        line("pull request", workspace.prUrl)
        if let sync = workspace.sync {
            line("remote", sync.state.rawValue + distance(sync))
            line("", sync.message)
            if let remedy = sync.remedy { line("", "→ \(remedy)") }
        }
        if let id = workspace.initExecutionId {
            let retries =
                switch workspace.initRetryCount ?? 0 {
                case 0: ""
                case 1: ", tried again once"
                case let count: ", tried again \(count) times"
                }
            line("set-up", "\(id)\(retries)")
        }
        for commit in workspace.outcome?.commits ?? [] { text += "  \(commit.id.prefix(9)) \(commit.subject)\n" }
        if let files = workspace.outcome?.files, !files.isEmpty {
            text += "  " + OutcomeText.statistics(files, style: terminal.style) + "\n"
        }
        return text
    }

    static func distance(_ sync: SyncReport) -> String {
        let parts = [
            (sync.taken ?? 0) > 0 ? "\(sync.taken ?? 0) taken" : nil,
            (sync.ahead ?? 0) > 0 ? "\(sync.ahead ?? 0) ahead" : nil,
            (sync.behind ?? 0) > 0 ? "\(sync.behind ?? 0) behind" : nil,
        ].compactMap { $0 }
        return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
    }

    private static func source(_ workspace: Workspace) -> String? {
        switch workspace.creationSource {
        case .issue: workspace.issueUrl.map { $0 + (workspace.issueTitle.map { " “\($0)”" } ?? "") }
        case .child: workspace.parentWorkspaceId.map { "workspace \($0)" }
        case .adopted: "an adopted working tree"
        default: workspace.baseReference
        }
    }
}

extension ServerSession {
    /// The id of a workspace that a person named.
    func workspace(_ name: String?) async throws -> WorkspaceID? {
        guard let name else { return nil }
        let found: Workspace = try await client.call(.workspaceGet, path: ["workspaceId": name])
        return found.id
    }

    /// Shows a set-up as it goes, and how the workspace stands at its end.
    func followSetup(_ workspace: Workspace, isDetached: Bool) async throws -> Int32 {
        guard !isDetached, let id = workspace.initExecutionId else {
            try print(workspace) { WorkspaceText.text(workspace, terminal) }
            return 0
        }
        if !isJSON {
            say("setting up \(workspace.name); follow elsewhere with: berth logs -f \(id)")
            _ = try await follow(id, as: .raw, cancelsOnInterrupt: true, booting: workspace.environmentId)
        }
        let settled = try await settled(workspace)
        try print(settled) { WorkspaceText.text(settled, terminal) }
        return settled.status == .ready ? 0 : (settled.errorCode ?? .internal).exitStatus
    }

    /// Waits for the end of its set-up, and until the workspace has heard of it.
    private func settled(_ workspace: Workspace) async throws -> Workspace {
        var current = workspace
        while current.status == .new || current.status == .provisioning {
            guard let id = current.initExecutionId else { return current }
            let execution: Execution = try await client.call(
                .executionWait,
                path: ["executionId": id.text],
                query: [("timeoutMs", "60000")]
            )
            if execution.status.hasEnded { try await terminal.loop.time.wait(for: .milliseconds(20)) }
            current = try await client.call(.workspaceGet, path: ["workspaceId": workspace.id.text])
        }
        return current
    }
}
