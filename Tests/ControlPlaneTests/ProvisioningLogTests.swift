import Base
import Database
import Domain
import Environments
import Testing

@Suite struct ProvisioningLogTests {
    private func entries(_ plane: ControlPlane, _ id: EnvironmentID, after: Int64 = 0, isCurrent: Bool = false)
        async throws -> [ProvisioningEntry]
    {
        try await plane.environments.provisioningLog(
            id,
            organization: plane.organization,
            visibleTo: plane.user,
            after: after,
            isCurrent: isCurrent
        ).entries
    }

    /// The log once it has such an entry.
    private func entries(
        _ plane: ControlPlane,
        _ id: EnvironmentID,
        with isWanted: @escaping @Sendable (ProvisioningEntry) -> Bool
    ) async throws -> [ProvisioningEntry] {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the entry") {
            let bell = plane.environments.bell(for: id)
            while true {
                let count = bell.count
                let log = try await entries(plane, id)
                if log.contains(where: isWanted) { return log }
                try await bell.wait(after: count)
            }
        }
    }

    private func settle(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> EnvironmentRecord {
        try await plane.environments.settled(id, organization: plane.organization, within: .seconds(30))
    }

    @Test func `each step of a boot is there, with what the provider's calls took`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane, name: "box")).id
            _ = try await settle(plane, id)
            // The worker may be quicker than the provider's answer.
            let log = try await entries(plane, id) { $0.message.hasPrefix("local: start took ") }
            #expect(log.map(\.seq) == Array(1...Int64(log.count)))
            let said = log.filter { $0.level != .debug }.map { "\($0.level) \($0.message)" }
            #expect(said.count == 4)
            #expect(said.first == "info 'box' was asked for: local")
            #expect(said.last?.hasPrefix("success running: its worker is ready") == true)
            #expect(log.contains { $0.level == .debug && $0.message.hasPrefix("local: create took ") })
            #expect(try await entries(plane, id, isCurrent: true).allSatisfy { $0.level == .debug })
        }
    }

    @Test func `a failure is told in the provider's own words`() async throws {
        try await ControlPlane.with { plane in
            plane.instances.fail("create", times: 3)
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await settle(plane, id).state == .error)
            let errors = try await entries(plane, id).filter { $0.level == .error }.map(\.message)
            #expect(errors.first == "local: create failed: the provider broke at create: E_BROKEN: create")
            #expect(errors.contains { $0.hasPrefix("try 1 of 3 failed: the provider broke at create") })
            #expect(errors.last?.contains("provision failed: the provider broke at create") == true)
            #expect(errors.last?.contains("the provider says: E_BROKEN: create") == true)
        }
    }

    @Test func `only the last hundred entries are kept`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            _ = try await settle(plane, id)
            let (organization, user, service) = (plane.organization, plane.user, plane.environments)
            for _ in 0..<20 {
                _ = try await service.stop(id, organization: organization, by: user, visibleTo: user)
                _ = try await settle(plane, id)
                _ = try await service.start(id, organization: organization, by: user, visibleTo: user)
                _ = try await settle(plane, id)
            }
            let log = try await entries(plane, id)
            #expect(log.count == 100)
            let first = try #require(log.first?.seq)
            #expect(first > 1)
            #expect(log.map(\.seq) == Array(first..<first + 100))
            #expect(try await entries(plane, id, after: first + 97).first?.seq == first + 98)
        }
    }

    @Test func `after an hour an entry is gone, from the table too`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            time.advance(.seconds(3600))
            try await plane.environments.reconcile()
            #expect(try await entries(plane, id).count == 1)
            time.advance(.seconds(1))
            #expect(try await entries(plane, id).isEmpty)
            try await plane.environments.reconcile()
            let left = try await plane.database.read { connection in
                try connection.first("SELECT COUNT(*) AS count FROM provisioning_log")?.integer("count")
            }
            #expect(left == 0)
        }
    }
}
