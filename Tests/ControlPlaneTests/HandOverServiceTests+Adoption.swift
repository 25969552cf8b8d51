import Base
import Database
import Domain
import HandOvers
import Testing
import Workspaces

// What a workspace is besides its checkout.
extension HandOverServiceTests {
    private func new(_ row: HandedRow, _ details: HandedDetails, _ names: [String]) -> NewHandedWorkspace {
        NewHandedWorkspace(
            environmentID: row.environmentID,
            repositoryID: nil,
            location: .desktop,
            name: "app",
            directory: "app",
            baseReference: nil,
            branch: "feature",
            issueURL: nil,
            pullRequestURL: nil,
            pullRequestNumber: nil,
            ratchetEnabled: true,
            ratchetState: "CI_FAILED",
            details: details,
            variableNames: names
        )
    }

    @Test
    func `all that a row says comes along, and the twin's id with it; of variables the names, until they are given`()
        async throws
    {
        try await withWorkspace { plane, desktop, workspace in
            let row = try await desktop.workspace(workspace, organization: plane.organization, visibleTo: nil)
            let moment = Timestamp(milliseconds: 1_700_000_000_000)
            let details = HandedDetails(
                description: "a person's words",
                creationSource: .issue,
                isGeneratedBranch: false,
                issueNumber: 7,
                issueTitle: "it breaks",
                pullRequestState: .changesRequested,
                pullRequestCIStatus: "FAILURE",
                pullRequestReviewState: "CHANGES_REQUESTED",
                pullRequestUpdatedAt: moment,
                reviewLastCheckedAt: moment,
                ratchetLastCIRunID: "991",
                ratchetLastCheckedAt: moment,
                ratchetLastPushAt: moment,
                ratchetActiveSessionID: "sess_1",
                hasHadSessions: true,
                autoStopMinutes: 45,
                isCloudSyncEnabled: true,
                hasCredentials: true,
                runs: 3
            )
            let id: HandOverID = plane.ids.make()
            let foreign: WorkspaceID = plane.ids.make()
            let given = new(row, details, ["KEY", "STAGE", "not a name"])
            let staged = try await desktop.stage(
                id,
                from: foreign,
                epoch: 2,
                into: nil,
                new: given,
                target: nil,
                peerName: "cloud",
                wish(plane)
            )
            try await desktop.adopt(id, given)
            let organization = plane.organization
            let lacks = try await desktop.lacks(of: staged, details)
            #expect(lacks == HandedLacks(missingVariables: ["KEY", "STAGE"], missingLogin: true, runsLeft: 3))
            try await desktop.change(id) { record in
                record.peerLocation = .cloud
                try record.machine.prepare()
                try record.machine.own()
            }
            let here = staged.workspaceID
            let known = try await desktop.workspace(here, organization: organization, visibleTo: nil).details
            var expected = details
            (expected.hasCredentials, expected.runs) = (false, 0)
            #expect(known == expected)
            let record = try await plane.workspaces.get(here, organization: organization, visibleTo: nil)
            #expect(record.cloudWorkspaceID == foreign.text, "the twin in the cloud")
            #expect(record.location == .desktop && record.sync.dueAt != nil)

            #expect(try await plane.workspaces.missingVariables(here) == ["KEY", "STAGE"])
            try await plane.workspaces.setVariables(
                ["KEY": Secret("value")],
                of: here,
                organization: organization,
                by: plane.user
            )
            #expect(try await plane.workspaces.missingVariables(here) == ["STAGE"])
            #expect(try await desktop.variableNames(of: here) == ["KEY", "STAGE"], "both go on from here")
            try await plane.workspaces.removeVariable("STAGE", of: here, organization: organization, by: plane.user)
            #expect(try await plane.workspaces.missingVariables(here) == [])
        }
    }

    @Test func `an offer at a greater epoch tells that what was begun before is rolled back`() async throws {
        try await withWorkspace { plane, desktop, workspace in
            let row = try await desktop.workspace(workspace, organization: plane.organization, visibleTo: nil)
            let foreign: WorkspaceID = plane.ids.make()
            let given = new(row, HandedDetails(), [])
            func stage(_ id: HandOverID, _ twin: WorkspaceID?, _ epoch: Int64, from other: WorkspaceID? = nil)
                async throws -> HandOverRecord
            {
                try await desktop.stage(
                    id,
                    from: other ?? foreign,
                    epoch: epoch,
                    into: twin,
                    new: given,
                    target: nil,
                    peerName: "cloud",
                    wish(plane)
                )
            }
            let (first, second): (HandOverID, HandOverID) = (plane.ids.make(), plane.ids.make())
            let begun = try await stage(first, nil, 2)
            try await desktop.change(first) { try $0.machine.prepare() }
            await #expect(throws: BerthError.self, "an epoch that is not greater") {
                try await stage(second, begun.workspaceID, 2)
            }
            await #expect(throws: BerthError.self, "another workspace's word") {
                try await stage(second, begun.workspaceID, 3, from: plane.ids.make())
            }
            let again = try await stage(second, begun.workspaceID, 3)
            #expect(again.state == .staging && again.workspaceID == begun.workspaceID)
            #expect(try await desktop.find(first)?.state == .aborted)
            try await desktop.change(second) { record in
                try record.machine.prepare()
                try record.machine.own()
            }
            // The word of the first one's end comes late.
            try await desktop.change(first) { try $0.machine.abort() }
            let owned = try await desktop.workspace(begun.workspaceID, organization: plane.organization, visibleTo: nil)
            #expect(owned.custody == .owned && owned.epoch == 3)
        }
    }
}
