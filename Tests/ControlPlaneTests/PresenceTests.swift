import Base
import Database
import Domain
import Environments
import Presence
import Testing

/// Who is connected, on every engine.
@Suite struct PresenceTests {
    private func service(_ plane: ControlPlane, _ time: any TimeSource) -> PresenceService {
        PresenceService(
            database: plane.database,
            feed: plane.feed,
            time: time,
            ids: plane.ids,
            log: Log(sink: SilentSink(), time: time)
        )
    }

    private func place(_ plane: ControlPlane) async throws -> PresenceService.Place {
        let environment = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
        return PresenceService.Place(
            organizationID: plane.organization,
            environmentID: environment,
            workspaceID: nil,
            ownerID: plane.user
        )
    }

    @Test func `every statement fits the schema`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            try await plane.database.check(PresenceService.statements)
        }
    }

    @Test func `clients join, stay by heartbeats and go by silence or by word`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let service = service(plane, time)
            let place = try await place(plane)
            let before = try await plane.feed.position(plane.organization)
            let one = try await service.join(place, as: plane.user, from: .desktop)
            let two = try await service.join(place, as: plane.user, from: .web)
            let three = try await service.join(place, as: plane.user, from: .web)
            func here() async throws -> [PresenceID] {
                try await service.list(plane.organization, environment: place.environmentID, workspace: nil).map(\.id)
            }
            #expect(try await here().sorted() == [one.id, two.id, three.id].sorted())
            time.advance(.seconds(40))
            let beat = try await service.heartbeat(two.id, organization: plane.organization, by: plane.user)
            #expect(beat.expiresAt == time.now + .seconds(60))
            _ = try await service.leave(three.id, organization: plane.organization, by: plane.user)
            time.advance(.seconds(21))
            #expect(try await here() == [two.id])
            try await service.sweep()
            try await service.sweep()
            await #expect(throws: BerthError.self) {
                _ = try await service.heartbeat(one.id, organization: plane.organization, by: plane.user)
            }
            let events = try await plane.feed.read(plane.organization, after: before, limit: 100, visibleTo: plane.user)
            let told = events.filter { $0.type.hasPrefix("presence.") }
            #expect(
                told.map(\.type) == [
                    "presence.joined", "presence.joined", "presence.joined", "presence.left", "presence.left",
                ]
            )
            #expect(told.last?.subject == one.id.text)
            #expect(told.last?.payload.contains(#""reason":"expired""#) == true)
        }
    }

    @Test func `another user's client can be neither kept nor sent away`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let service = service(plane, time)
            let mine = try await service.join(try await place(plane), as: plane.user, from: .desktop)
            let stranger: UserID = plane.ids.make()
            await #expect(throws: BerthError.self) {
                _ = try await service.heartbeat(mine.id, organization: plane.organization, by: stranger)
            }
            await #expect(throws: BerthError.self) {
                _ = try await service.leave(mine.id, organization: plane.organization, by: stranger)
            }
            await #expect(throws: BerthError.self) {
                _ = try await service.heartbeat(mine.id, organization: plane.ids.make(), by: plane.user)
            }
            #expect(try await service.get(mine.id, organization: plane.organization) == mine)
        }
    }
}
