import Base
import Database
import Domain
import Environments
import Executions
import Synchronization
import Testing
import Workspaces

/// The rows of workspaces: names, set-up, retries, variables, and what the keeper does by itself.
@Suite struct WorkspaceLifeTests {
    /// Executions and remotes as a test says.
    private final class Bridge: WorkspaceBridge {
        let isLive = Mutex(true)
        let report = Mutex<SyncReport?>(nil)
        let looks = Mutex(0)
        let canForget = Mutex(false)
        let forgets = Mutex(0)

        func forget(_ workspace: WorkspaceRecord) async throws -> Bool {
            forgets.withLock { $0 += 1 }
            return canForget.withLock { $0 }
        }

        func hasLiveExecution(_ workspace: WorkspaceID, organization: OrganizationID) async throws -> Bool {
            isLive.withLock { $0 }
        }

        func sync(_ workspace: WorkspaceRecord) async throws -> SyncReport? {
            looks.withLock { $0 += 1 }
            return report.withLock { $0 }
        }
    }

    private func wish(_ plane: ControlPlane, name: String? = nil, branch: String? = nil) async throws -> NewWorkspace {
        let environment = try await plane.environments.personal(
            plane.organization,
            user: plane.user,
            spec: EnvironmentSpec()
        )
        var new = NewWorkspace(
            organizationID: plane.organization,
            ownerID: plane.user,
            environmentID: environment.id,
            repositoryURL: "https://git.example/team/app",
            branch: branch,
            task: "Fix the login"
        )
        new.name = name
        new.setup = WorkspaceSetup()
        return new
    }

    private func follow(
        _ plane: ControlPlane,
        _ id: WorkspaceID,
        _ execution: ExecutionID,
        _ state: ExecutionState,
        _ failure: FailureReason? = nil
    ) async throws -> WorkspaceRecord {
        await plane.workspaces.executionChanged(
            execution,
            workspace: id,
            organization: plane.organization,
            isSetup: true,
            state: state,
            outcome: nil,
            failure: failure
        )
        return try await plane.workspaces.get(id, organization: plane.organization, visibleTo: plane.user)
    }

    @Test(arguments: Custody.allCases)
    func `only the server that owns a workspace changes it`(_ custody: Custody) async throws {
        try await ControlPlane.with(runs: false) { plane in
            let made = try await plane.workspaces.create(try await wish(plane)).workspace
            _ = try await follow(plane, made.id, plane.ids.make(), .completed)
            let held: SQL = "UPDATE workspaces SET custody = $2 WHERE id = $1"
            _ = try await plane.database.write { try $0.run(held, made.id, custody.rawValue) }
            var rename = WorkspaceEdit()
            rename.name = "other"
            let wanted = rename
            let changes: [@Sendable () async throws -> Void] = [
                { try await plane.workspaces.checkOwned(made.id, organization: plane.organization) },
                {
                    try await plane.workspaces.setVariables(
                        ["STAGE": Secret("dev")],
                        of: made.id,
                        organization: plane.organization,
                        by: plane.user
                    )
                },
                {
                    _ = try await plane.workspaces.edit(
                        made.id,
                        organization: plane.organization,
                        wanted,
                        by: plane.user
                    )
                },
                {
                    _ = try await plane.workspaces.archive(
                        made.id,
                        organization: plane.organization,
                        by: plane.user,
                        visibleTo: plane.user
                    )
                },
            ]
            for change in changes {
                if custody == .owned {
                    try await change()
                } else {
                    let error = await #expect(throws: BerthError.self) { try await change() }
                    #expect(error?.code == .conflict)
                    #expect(error?.remedy != nil)
                }
            }
        }
    }

    @Test func `a workspace is ready with the end of its set-up, and not before`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let made = try await plane.workspaces.create(try await wish(plane)).workspace
            let execution: ExecutionID = plane.ids.make()
            #expect(made.deadlineAt != nil)
            #expect(try await follow(plane, made.id, execution, .queued).state == .new)
            #expect(try await follow(plane, made.id, execution, .assigned).state == .provisioning)
            #expect(try await follow(plane, made.id, execution, .running).state == .provisioning)
            let ready = try await follow(plane, made.id, execution, .completed)
            #expect(ready.state == .ready && ready.deadlineAt == nil)
            #expect(ready.initialisation.executionID == execution && ready.initialisation.completedAt != nil)
        }
    }

    @Test func `a failed set-up is tried again three times, then by force; a late word of an earlier try says nothing`()
        async throws
    {
        try await ControlPlane.with(runs: false) { plane in
            let made = try await plane.workspaces.create(try await wish(plane)).workspace
            var earlier: ExecutionID?
            for retries in 0...WorkspaceService.retryLimit {
                let execution: ExecutionID = plane.ids.make()
                _ = try await follow(plane, made.id, execution, .assigned)
                if let earlier { #expect(try await follow(plane, made.id, earlier, .completed).state == .provisioning) }
                let failed = try await follow(
                    plane,
                    made.id,
                    execution,
                    .failed,
                    FailureReason(.agentFailed, "exit 1", remedy: "mend it")
                )
                #expect(failed.state == .failed && failed.failure?.remedy == "mend it")
                #expect(failed.initialisation.retries == retries)
                earlier = execution
                guard retries < WorkspaceService.retryLimit else { break }
                #expect(try await plane.workspaces.retry(failed, force: false, by: plane.user).workspace.state == .new)
            }
            let failed = try await plane.workspaces.get(made.id, organization: plane.organization, visibleTo: nil)
            let error = await #expect(throws: BerthError.self) {
                try await plane.workspaces.retry(failed, force: false, by: plane.user)
            }
            #expect(error?.code == .quotaExceeded)
            let forced = try await plane.workspaces.retry(failed, force: true, by: plane.user)
            #expect(forced.workspace.state == .new && forced.request.setup != nil)
            let again = await #expect(throws: BerthError.self) {
                try await plane.workspaces.retry(forced.workspace, force: true, by: plane.user)
            }
            #expect(again?.code == .illegalTransition)
        }
    }

    @Test func `names and branches are taken once, and free again behind an archive`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let first = try await plane.workspaces.create(try await wish(plane, name: "login", branch: "fix/a"))
                .workspace
            let named = try await wish(plane, name: "login")
            let name = await #expect(throws: BerthError.self) { try await plane.workspaces.create(named) }
            #expect(name?.code == .conflict && name?.field == "name")
            let branched = try await wish(plane, branch: "fix/a")
            let branch = await #expect(throws: BerthError.self) { try await plane.workspaces.create(branched) }
            #expect(branch?.code == .conflict && branch?.field == "repository.branch")
            #expect(branch?.message.contains("'login'") == true)
            let one = try await plane.workspaces.create(try await wish(plane)).workspace
            let two = try await plane.workspaces.create(try await wish(plane)).workspace
            #expect(one.name == "fix-the-login" && two.name.hasPrefix("fix-the-login-"))
            for bad in ["", "Ab", "a b", "ws_x", ".a", "-a", String(repeating: "a", count: 61)] {
                let odd = try await wish(plane, name: bad)
                #expect(
                    await #expect(throws: BerthError.self) { try await plane.workspaces.create(odd) }?.field == "name"
                )
            }
            let archived = try await plane.workspaces.archive(
                first.id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            _ = try await plane.workspaces.create(named)
            let back = await #expect(throws: BerthError.self) {
                try await plane.workspaces.unarchive(archived, by: plane.user)
            }
            #expect(back?.code == .conflict)
            let found = try await plane.workspaces.find(
                "login",
                organization: plane.organization,
                user: plane.user,
                visibleTo: plane.user
            )
            #expect(found.id != first.id)
            try await plane.workspaces.remove(first.id, organization: plane.organization, by: plane.user)
            let gone = await #expect(throws: BerthError.self) {
                try await plane.workspaces.get(first.id, organization: plane.organization, visibleTo: nil)
            }
            #expect(gone?.code == .notFound)
        }
    }

    @Test func `variables are sealed, listed by name alone, and bound to their workspace`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let id = try await plane.workspaces.create(try await wish(plane)).workspace.id
            let organization = plane.organization
            try await plane.workspaces.setVariables(
                ["KEY": Secret("a-very-secret-value"), "STAGE": Secret("dev")],
                of: id,
                organization: organization,
                by: plane.user
            )
            try await plane.workspaces.setVariables(
                ["STAGE": Secret("prod")],
                of: id,
                organization: organization,
                by: plane.user
            )
            #expect(try await plane.workspaces.variableNames(id, organization: organization) == ["KEY", "STAGE"])
            let values = try await plane.workspaces.variables(of: id, organization: organization)
            #expect(values.reveal() == ["KEY": "a-very-secret-value", "STAGE": "prod"])
            #expect(!"\(values)".contains("secret-value"))
            let stored = try await plane.database.read { connection in
                try connection.rows("SELECT value FROM workspace_variables").map { try $0.blob("value") }
            }
            #expect(stored.allSatisfy { $0.firstRange(of: Array("a-very".utf8)) == nil })
            for bad in ["1A", "A-B", "BERTH_X", ""] {
                let error = await #expect(throws: BerthError.self) {
                    try await plane.workspaces.setVariables(
                        [bad: Secret("hidden")],
                        of: id,
                        organization: organization,
                        by: plane.user
                    )
                }
                #expect(error?.code == .invalidValue && error?.message.contains("hidden") == false)
            }
            try await plane.workspaces.removeVariable("KEY", of: id, organization: organization, by: plane.user)
            #expect(try await plane.workspaces.variableNames(id, organization: organization) == ["STAGE"])
        }
    }

    @Test func `nothing sticks: what has no living execution behind it fails when its time has come`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let bridge = Bridge()
            let keeper = WorkspaceKeeper(
                plane.workspaces,
                bridge: bridge,
                interval: .seconds(300),
                randomness: SeededRandomness(seed: 1)
            )
            let id = try await plane.workspaces.create(try await wish(plane)).workspace.id
            func state() async throws -> WorkspaceRecord {
                try await plane.workspaces.get(id, organization: plane.organization, visibleTo: nil)
            }
            time.advance(.seconds(601))
            try await keeper.step()
            #expect(try await state().state == .new)
            bridge.isLive.withLock { $0 = false }
            try await keeper.step()
            #expect(try await state().state == .new)
            time.advance(.seconds(601))
            try await keeper.step()
            #expect(try await state().state == .failed)
            #expect(try await state().failure?.remedy?.contains("berth ws retry") == true)
        }
    }

    @Test
    func `what an environment keeps of a removed workspace goes when that can be reached; its secrets go at once`()
        async throws
    {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let bridge = Bridge()
            let keeper = WorkspaceKeeper(
                plane.workspaces,
                bridge: bridge,
                interval: .seconds(300),
                randomness: SeededRandomness(seed: 1)
            )
            let (organization, user) = (plane.organization, plane.user)
            let id = try await plane.workspaces.create(try await wish(plane)).workspace.id
            let key = ["KEY": Secret("value")]
            try await plane.workspaces.setVariables(key, of: id, organization: organization, by: user)
            _ = try await plane.workspaces.archive(id, organization: organization, by: user, visibleTo: nil)
            try await keeper.step()
            #expect(bridge.forgets.withLock { $0 } == 0)
            try await plane.workspaces.remove(id, organization: organization, by: user)
            let values = try await plane.database.read { try $0.rows("SELECT value FROM workspace_variables").count }
            #expect(values == 0)
            try await keeper.step()
            try await keeper.step()
            #expect(bridge.forgets.withLock { $0 } == 1, "not at once again")
            bridge.canForget.withLock { $0 = true }
            for _ in 0..<3 {
                time.advance(.seconds(61))
                try await keeper.step()
            }
            #expect(bridge.forgets.withLock { $0 } == 2, "and never again when it is done")
        }
    }

    @Test func `a remote is looked at when its time comes, once, and only news are told`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let bridge = Bridge()
            let keeper = WorkspaceKeeper(
                plane.workspaces,
                bridge: bridge,
                interval: .seconds(300),
                randomness: SeededRandomness(seed: 1)
            )
            var new = try await wish(plane)
            new.isCloudSyncEnabled = true
            let id = try await plane.workspaces.create(new).workspace.id
            try await keeper.step()
            #expect(bridge.looks.withLock { $0 } == 0)
            let execution: ExecutionID = plane.ids.make()
            _ = try await follow(plane, id, execution, .assigned)
            _ = try await follow(plane, id, execution, .completed)
            let report = SyncReport(.diverged, message: "why", remedy: "way out")
            bridge.report.withLock { $0 = report }
            try await keeper.step()
            try await keeper.step()
            #expect(bridge.looks.withLock { $0 } == 1)
            let seen = try await plane.workspaces.get(id, organization: plane.organization, visibleTo: nil)
            #expect(seen.sync.report == report)
            let due = try #require(seen.sync.dueAt).milliseconds - time.now.milliseconds
            #expect((240_000...360_000).contains(due))
            let position = try await plane.feed.position(plane.organization)
            time.advance(.seconds(361))
            try await keeper.step()
            #expect(bridge.looks.withLock { $0 } == 2)
            #expect(try await plane.feed.position(plane.organization) == position)
            var edit = WorkspaceEdit()
            edit.isCloudSyncEnabled = false
            _ = try await plane.workspaces.edit(id, organization: plane.organization, edit, by: plane.user)
            time.advance(.seconds(3600))
            try await keeper.step()
            #expect(bridge.looks.withLock { $0 } == 2)
        }
    }
}
