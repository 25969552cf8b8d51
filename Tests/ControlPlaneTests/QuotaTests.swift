import Base
import Database
import Domain
import Synchronization
import Testing

@testable import Environments

/// Tiers, on both engines: what counts, what is given back, and what a storm of requests leaves.
@Suite struct QuotaTests {
    private static func settled(_ plane: ControlPlane, _ id: EnvironmentID) async throws -> EnvironmentRecord {
        try await plane.environments.settled(id, organization: plane.organization, within: .seconds(30))
    }

    private static func used(_ plane: ControlPlane) async throws -> Int {
        try await plane.environments.quota(plane.organization, user: plane.user).environments
    }

    private static func destroy(_ plane: ControlPlane, _ id: EnvironmentID) async throws {
        let user = plane.user
        _ = try await plane.environments.destroy(id, organization: plane.organization, by: user, visibleTo: user)
        _ = try await settled(plane, id)
    }

    @Test func `a storm of requests gets exactly what the tier has`() async throws {
        try await ControlPlane.with { plane in
            _ = try await plane.environments.setTier(
                .pro,
                organization: plane.organization,
                user: plane.user,
                by: plane.user
            )
            let outcomes = await withTaskGroup(of: Result<EnvironmentID, any Error>.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        do {
                            return .success(
                                try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
                            )
                        } catch {
                            return .failure(error)
                        }
                    }
                }
                var all: [Result<EnvironmentID, any Error>] = []
                for await outcome in group { all.append(outcome) }
                return all
            }
            let made = outcomes.compactMap { try? $0.get() }
            #expect(made.count == 3)
            for case .failure(let error) in outcomes { #expect((error as? BerthError)?.code == .quotaExceeded) }
            #expect(try await Self.used(plane) == 3)
            // One place is free again as soon as one is on its way out.
            try await Self.destroy(plane, try #require(made.first))
            #expect(try await Self.used(plane) == 2)
            _ = try await plane.environments.create(NewEnvironmentFixture.make(plane))
            await #expect(throws: BerthError.self) {
                try await plane.environments.create(NewEnvironmentFixture.make(plane))
            }
            #expect(try await Self.used(plane) == 3)
        }
    }

    @Test func `an error gives the place back, and a retry takes it again`() async throws {
        try await ControlPlane.with { plane in
            let user = plane.user
            _ = try await plane.environments.setTier(.free, organization: plane.organization, user: user, by: user)
            plane.instances.fail("create", times: 3)
            let broken = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, broken).state == .error)
            #expect(try await Self.used(plane) == 0)
            let other = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
            #expect(try await Self.settled(plane, other).state == .running)
            let refused = await #expect(throws: BerthError.self) {
                try await plane.environments.retry(
                    broken,
                    organization: plane.organization,
                    by: user,
                    visibleTo: user
                )
            }
            #expect(refused?.code == .quotaExceeded)
            #expect(try await Self.settled(plane, broken).state == .error, "a refused retry changes nothing")
            try await Self.destroy(plane, other)
            _ = try await plane.environments.retry(broken, organization: plane.organization, by: user, visibleTo: user)
            #expect(try await Self.settled(plane, broken).state == .running)
            #expect(try await Self.used(plane) == 1)
            try await Self.destroy(plane, broken)
            #expect(try await Self.used(plane) == 0)
        }
    }

    @Test func `less is granted where more is asked for than the tier has, and both are kept`() async throws {
        try await ControlPlane.with { plane in
            let user = plane.user
            _ = try await plane.environments.setTier(.free, organization: plane.organization, user: user, by: user)
            var new = NewEnvironmentFixture.make(plane)
            let asked = ResourceLimits(cpus: 64, memoryBytes: 1 << 40, diskBytes: 1 << 30, processes: 100)
            new.spec.limits = asked
            let record = try await plane.environments.create(new)
            #expect(
                record.spec.limits
                    == ResourceLimits(cpus: 2, memoryBytes: 4 << 30, diskBytes: 1 << 30, processes: 100)
            )
            #expect(record.requested == asked)
            #expect(record.idleStopMinutes == 60)
            try await Self.destroy(plane, record.id)
            let whole = try await plane.environments.create(NewEnvironmentFixture.make(plane))
            #expect(whole.requested == nil)
        }
    }

    @Test func `memory is promised up to the declared multiple of the machine's, and given back`() async throws {
        let machine = ResourceLimits(cpus: 4, memoryBytes: 8 << 30)
        try await ControlPlane.with(
            capacity: CapacityRules(machine: machine, memoryOvercommitPercent: 150)
        ) { plane in
            var made: [EnvironmentID] = []
            for _ in 0..<3 { made.append(try await plane.environments.create(NewEnvironmentFixture.make(plane)).id) }
            let refused = await #expect(throws: BerthError.self) {
                try await plane.environments.create(NewEnvironmentFixture.make(plane))
            }
            #expect(refused?.code == .quotaExceeded)
            #expect(refused?.field == "limits.memoryBytes")
            #expect(try await Self.used(plane) == 3, "what was refused takes no place either")
            try await Self.destroy(plane, made[0])
            _ = try await plane.environments.create(NewEnvironmentFixture.make(plane))
        }
    }

    @Test func `it is destroyed when its time is over, unless that was extended`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time) { plane in
            let user = plane.user
            var new = NewEnvironmentFixture.make(plane)
            new.expiresAt = time.now + .seconds(3600)
            let kept = try await plane.environments.create(new).id
            let lapsed = try await plane.environments.create(new).id
            for id in [kept, lapsed] { #expect(try await Self.settled(plane, id).state == .running) }
            _ = try await plane.environments.extend(
                kept,
                until: time.now + .seconds(7200),
                organization: plane.organization,
                by: user,
                visibleTo: user
            )
            time.advance(.seconds(3600))
            try await plane.environments.reconcile()
            #expect(try await Self.settled(plane, lapsed).state == .destroyed)
            #expect(try await Self.settled(plane, kept).state == .running)
            await #expect(throws: BerthError.self) {
                try await plane.environments.extend(
                    kept,
                    until: time.now,
                    organization: plane.organization,
                    by: user,
                    visibleTo: user
                )
            }
            _ = try await plane.environments.extend(
                kept,
                until: nil,
                organization: plane.organization,
                by: user,
                visibleTo: user
            )
            time.advance(.seconds(72_000))
            try await plane.environments.reconcile()
            #expect(try await Self.settled(plane, kept).state == .running)
        }
    }
}
