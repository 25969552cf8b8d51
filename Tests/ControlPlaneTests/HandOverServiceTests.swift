import Base
import Database
import Domain
import Environments
import Executions
import HandOvers
import Onboarding
import TestSupport
import Testing
import Workspaces

/// The rows of hand-overs: two services on one database stand for two servers.
@Suite struct HandOverServiceTests {
    static let target = HandOverTarget(
        name: "cloud",
        url: "http://127.0.0.1:1",
        pin: nil,
        token: Secret("berth_key_7f21")
    )

    func service(_ plane: ControlPlane, _ location: WorkspaceLocation = .desktop) -> HandOverService {
        HandOverService(
            database: plane.database,
            feed: plane.feed,
            sealer: plane.sealer,
            time: SystemTime(),
            ids: plane.ids,
            location: location
        )
    }

    func wish(_ plane: ControlPlane) -> HandOverWish {
        HandOverWish(
            organizationID: plane.organization,
            ownerID: plane.user,
            includesIgnored: false,
            ignoredLimit: 1 << 20
        )
    }

    /// A workspace that is ready, and the service.
    func withWorkspace(
        _ body: @escaping @Sendable (ControlPlane, HandOverService, WorkspaceID) async throws -> Void
    ) async throws {
        try await ControlPlane.with { plane in
            let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            let (workspace, _) = try await plane.workspaces.create(
                NewWorkspace(
                    organizationID: plane.organization,
                    ownerID: plane.user,
                    environmentID: environment,
                    repositoryURL: "https://git.example/app.git",
                    task: "fix it"
                )
            )
            try await plane.database.write { try $0.run("UPDATE workspaces SET status = 'READY'") }
            try await body(plane, service(plane), workspace.id)
        }
    }

    @Test func `every statement is known to both engines`() async throws {
        try await withEachDatabase { try await $0.check(HandOverService.statements + SetupService.statements) }
    }

    @Test func `a sent workspace is away, and the key for the other side is gone with the end`() async throws {
        try await withWorkspace { plane, service, workspace in
            let id: HandOverID = plane.ids.make()
            func custody() async throws -> Custody {
                try await service.workspace(workspace, organization: plane.organization, visibleTo: plane.user).custody
            }
            let begun = try await service.begin(id, of: workspace, to: Self.target, peerName: "cloud", wish(plane))
            #expect(begun.state == .preparing && begun.epoch == 2 && begun.isDriver)
            #expect(try await custody() == .frozen)
            #expect(try service.token(of: begun)?.reveal() == "berth_key_7f21")
            let stored = try await plane.database.read { try $0.rows("SELECT token_sealed FROM hand_overs") }
            #expect(try !String(decoding: stored[0].blob("token_sealed"), as: UTF8.self).contains("7f21"))

            let again = try await service.begin(id, of: workspace, to: Self.target, peerName: "cloud", wish(plane))
            #expect(again == begun, "a repeated beginning changes nothing")
            await #expect(throws: BerthError.self) {
                try await service.begin(
                    plane.ids.make(),
                    of: workspace,
                    to: Self.target,
                    peerName: "cloud",
                    wish(plane)
                )
            }
            try await service.change(id) { try $0.machine.commit() }
            #expect(try await custody() == .away)
            try await service.change(id) { record in
                try record.machine.finish()
                record.sealedToken = nil
            }
            #expect(try await custody() == .away)
            await #expect(throws: BerthError.self) { try await service.change(id) { try $0.machine.abort() } }
        }
    }

    @Test func `what was rolled back is owned as before, and its epoch is burnt`() async throws {
        try await withWorkspace { plane, service, workspace in
            for epoch in 2...3 {
                let id: HandOverID = plane.ids.make()
                let begun = try await service.begin(id, of: workspace, to: Self.target, peerName: "x", wish(plane))
                #expect(begun.epoch == epoch)
                try await service.change(id) { try $0.machine.abort() }
                let row = try await service.workspace(workspace, organization: plane.organization, visibleTo: nil)
                #expect(row.custody == .owned && row.epoch == 1)
            }
        }
    }

    @Test func `while something runs in it a workspace stays, with the way out`() async throws {
        try await withWorkspace { plane, service, workspace in
            var new = plane.command("make")
            new.workspaceID = workspace
            let running = try await plane.executions.create(new).execution
            let refusal = await #expect(throws: BerthError.self) {
                try await service.begin(
                    plane.ids.make(),
                    of: workspace,
                    to: Self.target,
                    peerName: "cloud",
                    wish(plane)
                )
            }
            #expect(refusal?.code == .conflict)
            #expect(refusal?.message.contains(running.id.text) == true)
            #expect(refusal?.remedy?.contains("--wait") == true)
        }
    }

    @Test func `what comes gets a row that nobody owns before the source has decided, and comes home to its own`()
        async throws
    {
        try await withWorkspace { plane, service, workspace in
            let environment = try await service.workspace(
                workspace,
                organization: plane.organization,
                visibleTo: nil
            ).environmentID
            func new(_ name: String) -> NewHandedWorkspace {
                NewHandedWorkspace(
                    environmentID: environment,
                    repositoryID: nil,
                    location: .cloud,
                    name: name,
                    directory: name,
                    baseReference: nil,
                    branch: "feature",
                    issueURL: nil,
                    pullRequestURL: "https://git.example/pull/7",
                    pullRequestNumber: 7,
                    ratchetEnabled: true,
                    ratchetState: "CI_FAILED"
                )
            }
            let cloud = self.service(plane, .cloud)
            let foreign: WorkspaceID = plane.ids.make()
            let first: HandOverID = plane.ids.make()
            func stage(_ id: HandOverID, _ twin: WorkspaceID?, _ epoch: Int64) async throws -> HandOverRecord {
                try await cloud.stage(
                    id,
                    from: foreign,
                    epoch: epoch,
                    into: twin,
                    new: new("app"),
                    target: nil,
                    peerName: "desktop",
                    wish(plane)
                )
            }
            // Rolled back, the row goes with it.
            let forgotten = try await stage(first, nil, 2)
            try await cloud.change(first) { try $0.machine.abort() }
            await #expect(throws: BerthError.self) {
                try await cloud.workspace(forgotten.workspaceID, organization: plane.organization, visibleTo: nil)
            }
            let second: HandOverID = plane.ids.make()
            let staged = try await stage(second, nil, 3)
            #expect(staged.state == .staging)
            await #expect(throws: BerthError.self) { try await cloud.change(second) { try $0.machine.own() } }
            try await cloud.change(second) { try $0.machine.prepare() }
            try await cloud.adopt(second, new("app"))
            let owned = try await cloud.change(second) { try $0.machine.own() }
            let row = try await cloud.workspace(owned.workspaceID, organization: plane.organization, visibleTo: nil)
            #expect(row.custody == .owned && row.epoch == 3 && row.ratchetState == "CI_FAILED")
            #expect(try await cloud.twin(of: foreign, wish(plane)) == nil, "an owned one is no twin")

            // It goes back and comes again: the same row.
            let third: HandOverID = plane.ids.make()
            _ = try await cloud.begin(third, of: row.id, to: Self.target, peerName: "desktop", wish(plane))
            try await cloud.change(third) { record in
                try record.machine.commit()
                record.peerLocation = .desktop
            }
            #expect(try await cloud.twin(of: foreign, wish(plane)) == row.id)
            await #expect(throws: BerthError.self, "an epoch that was used") {
                try await stage(plane.ids.make(), row.id, 3)
            }
            let located = try await plane.database.read { connection in
                try connection.first("SELECT location FROM workspaces WHERE id = $1", row.id)?.text("location")
            }
            #expect(located == "DESKTOP")
        }
    }

    @Test func `a person's take owns at a later epoch, and the loser steps down`() async throws {
        try await withWorkspace { plane, service, workspace in
            let id: HandOverID = plane.ids.make()
            _ = try await service.begin(id, of: workspace, to: Self.target, peerName: "cloud", wish(plane))
            await #expect(throws: BerthError.self, "it may still be rolled back") {
                try await service.change(id) { try $0.machine.take() }
            }
            try await service.change(id) { try $0.machine.commit() }
            try await service.change(id) { try $0.machine.take() }
            var row = try await service.workspace(workspace, organization: plane.organization, visibleTo: nil)
            #expect(row.custody == .owned && row.epoch == 3)
            try await service.change(id) { try $0.machine.supersede(by: 4) }
            row = try await service.workspace(workspace, organization: plane.organization, visibleTo: nil)
            #expect(row.custody == .orphaned)
        }
    }
}
