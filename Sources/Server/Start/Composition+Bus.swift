import Base
import Bus
import EventBus

// The event bus and its loops.
extension Composition {
    /// Notes what is to be published from now on.
    static func begin(_ core: ServerCore) async throws {
        try core.configuration.checkExecutionMode()
        try await outbox(core).begin()
    }

    /// Another server may publish at once; to be called when this one does so no more.
    func endBus() async {
        await Self.outbox(core).letGo()
        await core.bus.close()
    }

    /// Up to which number of an organization's changes nothing waits for the bus any more.
    var unpublished: @Sendable (OrganizationID) async throws -> Int64 {
        let outbox = Self.outbox(core)
        return { try await outbox.position(in: $0) ?? .max }
    }

    func addBus(
        to group: inout ThrowingTaskGroup<Void, any Error>,
        keeping: @escaping @Sendable (String, @escaping @Sendable () async throws -> Void) async throws -> Void
    ) {
        let core = core
        let outbox = Self.outbox(core)
        let intake = BusIntake(
            bus: core.bus.bus,
            group: core.bus.group,
            tenants: core.bus.tenants,
            executions: BusRequests(core: core),
            held: core.bus.held,
            meter: core.bus.meter,
            limit: core.configuration.maximumBodyBytes,
            time: core.time,
            randomness: SystemRandomness(),
            log: core.log
        )
        group.addTask { try await keeping("bus outbox") { try await outbox.run() } }
        group.addTask { try await keeping("bus intake") { try await intake.run() } }
        group.addTask { try await keeping("bus retention") { try await core.bus.keepShort(core.time) } }
    }

    private static func outbox(_ core: ServerCore) -> BusOutbox {
        BusOutbox(
            database: core.database,
            feed: core.feed,
            bus: core.bus.bus,
            tenants: core.bus.tenants,
            output: StoredOutput(executions: core.executions),
            held: core.bus.held,
            meter: core.bus.meter,
            holder: core.bus.publisher,
            carriesFeed: core.bus.embedded == nil,
            carriesOutput: core.bus.isPublishingOutput,
            time: core.time,
            randomness: SystemRandomness()
        )
    }
}
