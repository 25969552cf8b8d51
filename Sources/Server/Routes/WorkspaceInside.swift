import API
import Base
import Database
import Domain
import Environments
import Executions
import Relay
import Transport
import WorkerProtocol
import Workspaces

// What needs the workspace's environment.
extension ServerCore {
    private static let callTime = Duration.seconds(30)
    /// A transfer from the remote, or a teardown script.
    private static let longCallTime = Duration.seconds(600)
    /// For what runs to end.
    private static let endTime = Duration.seconds(30)

    private func environment(of record: WorkspaceRecord) async throws -> EnvironmentRecord {
        try await environments.get(record.environmentID, organization: record.organizationID, visibleTo: nil)
    }

    /// Woken where it rests.
    private func link(_ record: WorkspaceRecord) async throws -> LinkChannels {
        guard record.state == .ready else {
            throw BerthError(
                .illegalTransition,
                "the workspace is \(record.state.rawValue)",
                remedy: record.state == .failed
                    ? "set it up again: berth ws retry \(record.name)" : "it has to be READY for this"
            )
        }
        return try channels(of: try await reached(try await environment(of: record)))
    }

    func sync(_ record: WorkspaceRecord) async throws -> WorkspaceRecord {
        try Self.checkSyncable(record, try await repositoryURL(of: record))
        let report = try await sync(record, through: try await link(record))
        return try await workspaces.synced(record.id, organization: record.organizationID, report)
    }

    func sync(_ record: WorkspaceRecord, through link: LinkChannels) async throws -> SyncReport {
        let call = WorkspaceSyncCall(
            request: try await workspaces.request(record, push: false, commitLeftovers: false),
            logins: try await storedLogins(record)
        )
        return try await link.call(call, until: time.uptime + Self.longCallTime)
    }

    func workspaceConfiguration(_ record: WorkspaceRecord) async throws -> HTTPResponse {
        let look = try await link(record).call(
            WorkspaceLookCall(directory: record.directory),
            until: time.uptime + Self.callTime
        )
        return try Self.json(
            WorkspaceConfigurationFiles(
                configuration: look.configuration,
                file: look.file,
                problem: look.problem,
                imports: look.imports,
                path: look.path
            )
        )
    }

    func runScript(_ record: WorkspaceRecord, _ context: RequestContext) async throws -> HTTPResponse {
        var call = WorkspaceRunCall(
            workspaceId: record.id,
            directory: record.directory,
            action: context.route.id == .workspaceRunStop ? .stop : .look,
            terminalId: ids.make(TerminalKind.self)
        )
        if context.route.id == .workspaceRunStart {
            let body: StartRunScript = try await context.body(limit: configuration.maximumBodyBytes)
            call.action = .start
            call.command = body.command
            call.variables = try await workspaces.variables(of: record.id, organization: record.organizationID)
                .reveal()
        }
        let status = try await link(record).call(call, until: time.uptime + Self.callTime)
        return try Self.json(status, status: call.action == .start ? 201 : 200)
    }

    /// Asks for what would be lost before anything is ended.
    func archive(_ record: WorkspaceRecord, _ body: ArchiveWorkspace, by principal: Principal) async throws
        -> ArchivedWorkspace
    {
        guard record.state != .archived else {
            return ArchivedWorkspace(workspace: Workspace(record), commit: nil, warnings: [])
        }
        // Before anything is ended or removed.
        try await workspaces.checkOwned(record.id, organization: record.organizationID)
        let force = body.force == true
        var warnings: [String] = []
        var commit: String?
        do {
            if let link = try await archiveLink(record) {
                try await checkLosses(record, body, link)
                try await endExecutions(record, by: principal)
                let answer = try await link.call(
                    try await archiveCall(record, body),
                    until: time.uptime + Self.longCallTime
                )
                try Self.check(answer, record)
                (commit, warnings) = (answer.commit, answer.warnings)
            } else {
                try await endExecutions(record, by: principal)
            }
        } catch let error as BerthError where force && [.unavailable, .timedOut, .network].contains(error.code) {
            warnings.append("its environment was not asked: \(error.message)")
        }
        let archived = try await workspaces.archive(
            record.id,
            organization: record.organizationID,
            by: principal.userID,
            visibleTo: principal.visibleUser
        )
        return ArchivedWorkspace(workspace: Workspace(archived), commit: commit, warnings: warnings)
    }

    /// nil where nothing of it can be anywhere.
    private func archiveLink(_ record: WorkspaceRecord) async throws -> LinkChannels? {
        let environment: EnvironmentRecord
        do {
            environment = try await self.environment(of: record)
        } catch let error as BerthError where error.code == .notFound {
            return nil
        }
        switch environment.state {
        case .destroyed, .destroying: return nil
        case .requested where record.state == .new: return nil
        default: return try channels(of: try await reached(environment))
        }
    }

    private func archiveCall(_ record: WorkspaceRecord, _ body: ArchiveWorkspace) async throws -> WorkspaceArchiveCall {
        WorkspaceArchiveCall(
            request: try await workspaces.request(record, push: false, commitLeftovers: false),
            logins: try await storedLogins(record),
            commitLeftovers: body.commit == true,
            force: body.force == true,
            variables: try await workspaces.variables(of: record.id, organization: record.organizationID).reveal()
        )
    }

    private func checkLosses(_ record: WorkspaceRecord, _ body: ArchiveWorkspace, _ link: LinkChannels) async throws {
        guard body.force != true, body.commit != true else { return }
        var call = try await archiveCall(record, body)
        call.onlyLooks = true
        let answer = try await link.call(call, until: time.uptime + Self.callTime)
        guard !answer.losses.isEmpty else { return }
        try Self.check(answer, record)
    }

    private static func check(_ answer: WorkspaceArchiveAnswer, _ record: WorkspaceRecord) throws(BerthError) {
        guard !answer.isRemoved else { return }
        throw BerthError(
            .conflict,
            "archiving '\(record.name)' would lose \(answer.losses.joined(separator: ", "))",
            field: "commit",
            remedy: "put it on the branch with --commit, or give it up with --force"
        )
    }

    private func endExecutions(_ record: WorkspaceRecord, by principal: Principal) async throws {
        let living = try await liveExecutions(record.id, organization: record.organizationID)
        for execution in living {
            _ = try await executions.cancel(
                execution.id,
                organization: record.organizationID,
                by: principal.userID,
                visibleTo: nil
            )
        }
        let limit = time.uptime + Self.endTime
        while try await hasLiveExecution(record.id, organization: record.organizationID) {
            guard time.uptime < limit else {
                throw BerthError(
                    .timedOut,
                    "what runs in the workspace did not end",
                    remedy: "try again, or give it up with --force",
                    isRetryable: true
                )
            }
            let position = try await feed.position(record.organizationID)
            guard try await hasLiveExecution(record.id, organization: record.organizationID) else { return }
            try await waitForChange(record.organizationID, after: position, atMost: limit - time.uptime)
        }
    }

    /// Of an archived one, whatever became of its environment: what that keeps is taken away by the keeper.
    func remove(_ record: WorkspaceRecord, by principal: Principal) async throws -> WorkspaceRecord {
        guard record.state == .archived else {
            throw BerthError(
                .illegalTransition,
                "the workspace is \(record.state.rawValue), not ARCHIVED",
                remedy: "archive it first: berth ws archive \(record.name)"
            )
        }
        try await workspaces.remove(record.id, organization: record.organizationID, by: principal.userID)
        return record
    }

    func forget(_ record: WorkspaceRecord) async throws -> Bool {
        let environment: EnvironmentRecord
        do {
            environment = try await self.environment(of: record)
        } catch let error as BerthError where error.code == .notFound {
            return true
        }
        guard environment.state != .destroyed, let repository = record.repositoryID else { return true }
        guard environment.state == .running, let link = try? channels(of: environment) else { return false }
        let url = try await workspaces.repository(repository, organization: record.organizationID).url
        let request = WorkspaceRequest(
            workspaceID: record.id,
            directory: record.directory,
            repositoryURL: url,
            branch: record.branch
        )
        _ = try await link.call(
            WorkspaceForgetCall(request: request, logins: try await storedLogins(record)),
            until: time.uptime + Self.callTime
        )
        return true
    }
}
