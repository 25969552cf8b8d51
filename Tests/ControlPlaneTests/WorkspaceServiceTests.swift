import Base
import Domain
import Environments
import Executions
import Testing
import WorkerProtocol
import Workspaces

@Suite struct WorkspaceServiceTests {
    private func request(_ plane: ControlPlane, _ environment: EnvironmentID, task: String = "Fix the login page")
        -> NewWorkspace
    {
        NewWorkspace(
            organizationID: plane.organization,
            ownerID: plane.user,
            environmentID: environment,
            repositoryURL: "https://Git.Example/team/app.git/",
            task: task
        )
    }

    @Test func `a task gets a branch, a directory and one repository record`() async throws {
        try await ControlPlane.with { plane in
            let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (first, checkout) = try await plane.workspaces.create(request(plane, environment))
            let (second, _) = try await plane.workspaces.create(request(plane, environment))
            #expect(first.state == .new)
            #expect(first.branch.hasPrefix("berth/fix-the-login-page-"))
            #expect(first.branch != second.branch)
            #expect(first.directory != second.directory)
            #expect(first.repositoryID == second.repositoryID)
            #expect(checkout.repositoryURL == "https://git.example/team/app.git")
            #expect(checkout.branch == first.branch)
            #expect(try await plane.workspaces.repositories(plane.organization).count == 1)
        }
    }

    @Test func `a run takes its workspace through its life and leaves its outcome`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (workspace, checkout) = try await plane.workspaces.create(request(plane, environment))
            var new = plane.command("make")
            new.workspaceID = workspace.id
            new.spec.workspace = checkout
            _ = try await plane.executions.create(new)
            let key = try await worker.assignment().key
            #expect(try await worker.assignment().workspace == checkout)
            try await worker.start(key.executionID)
            func state() async throws -> WorkspaceRecord {
                try await plane.workspaces.get(workspace.id, organization: plane.organization, visibleTo: plane.user)
            }
            #expect(try await state().state == .ready)
            let outcome = WorkspaceOutcome(
                branch: checkout.branch,
                baseCommit: "aaaa",
                headCommit: "bbbb",
                commits: [.init(id: "bbbb", subject: "Fix it")],
                files: [.init(path: "a.txt", additions: 1, deletions: 0)]
            )
            var report = ExecutionServiceTests.report()
            report.workspace = outcome
            try await worker.complete(key, report)
            #expect(try await state().outcome == outcome)
            #expect(try await plane.execution(key.executionID).report?.workspace == outcome)
        }
    }

    @Test func `a checkout that fails leaves a workspace that says why`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (workspace, checkout) = try await plane.workspaces.create(request(plane, environment))
            var new = plane.command("make")
            new.workspaceID = workspace.id
            new.spec.workspace = checkout
            _ = try await plane.executions.create(new)
            let key = try await worker.assignment().key
            let reason = FailureReason(.repositoryUnreachable, "git.example does not answer")
            try await worker.complete(key, ExecutionReport(outcome: .failed, failure: reason, durationMs: 1))
            let record = try await plane.workspaces.get(
                workspace.id,
                organization: plane.organization,
                visibleTo: plane.user
            )
            #expect(record.state == .failed)
            #expect(record.message == "git.example does not answer")
            #expect(try await plane.execution(key.executionID).failure == reason)
        }
    }

    @Test func `odd branches and references are refused by field`() async throws {
        try await ControlPlane.with { plane in
            let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            var bad = request(plane, environment)
            bad.branch = "a..b"
            let branch = bad
            #expect(
                await #expect(throws: BerthError.self) { try await plane.workspaces.create(branch) }?.field
                    == "repository.branch"
            )
            bad = request(plane, environment)
            bad.baseReference = "--upload-pack=x"
            let base = bad
            #expect(
                await #expect(throws: BerthError.self) { try await plane.workspaces.create(base) }?.field
                    == "repository.base"
            )
        }
    }
}
