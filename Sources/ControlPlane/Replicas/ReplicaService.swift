public import Base
public import Database
public import Domain
import Synchronization

/// A server that lives, as its row tells it.
public struct ReplicaRecord: Sendable, Equatable {
    public var id: ReplicaID
    /// Where other servers reach it; nil where they cannot.
    public var address: String?
    public var version: String
    public var startedAt: Timestamp

    init(_ row: Row) throws {
        id = try row.id("id")
        address = try row.optionalText("address")
        version = try row.text("version")
        startedAt = try row.timestamp("started_at")
    }
}

/// This server among those of its database: one row, renewed every 3 s, that runs out after 10 s. Everything else that a
/// server holds, it holds by this row.
public struct ReplicaService: Sendable {
    public let seat: ReplicaSeat
    let database: any SQLDatabase
    let store: ReplicaStore
    public let tally = LeaseTally()
    private let address = AddressBox()
    private let version: String
    private let observer: any ReplicaObserver
    private let time: any TimeSource
    private let log: Log

    public init(
        database: any SQLDatabase,
        seat: ReplicaSeat,
        version: String,
        observer: any ReplicaObserver,
        time: any TimeSource,
        log: Log
    ) {
        self.database = database
        self.seat = seat
        store = ReplicaStore(database.dialect)
        self.version = version
        self.observer = observer
        self.time = time
        self.log = log
    }

    /// For the test that prepares every statement.
    public static func statements(_ dialect: any SQLDialect) -> [SQL] { ReplicaStore(dialect).statements }

    /// Takes the place of an earlier process of this server, before it begins to act. The caller knows that there is
    /// none any more: it holds the lock of the data directory.
    public func begin() async throws {
        _ = try await register { [store] connection, id, address, version, duration in
            try connection.first(store.begin, id, address, version, duration)
        }
        _ = try await adopt()
    }

    /// The URL under which other servers reach this one; they know it after the next renewal.
    /// - Parameter isForWorkers: workers reach it there as well.
    public func publish(address: String, isForWorkers: Bool) { self.address.set(address, isForWorkers) }

    /// Where a server is reached; nil when it is gone, or cannot be.
    public func address(of replica: ReplicaID) async throws -> String? {
        try await living().first { $0.id == replica }?.address
    }

    /// Keeps the lease until cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.renewLoop() }
            // Beside it: a database that does not answer must not keep the server from noticing.
            group.addTask { try await self.expiryLoop() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func renewLoop() async throws {
        while true {
            var next = time.uptime + ReplicaLease.renewalInterval
            do {
                try await renew()
                // One that dies is taken over in the moment in which its lease runs out.
                if let left = try await nextLoss() { next = min(next, time.uptime + left + .milliseconds(1)) }
            } catch {
                try Task.checkCancellation()
                tally.count { $0.failures += 1 }
                log.warning("lease not renewed", ["error": "\(error)"])
            }
            try await time.wait(until: next)
        }
    }

    private func nextLoss() async throws -> Duration? {
        guard seat.isShared else { return nil }
        let id = seat.id
        return try await database.read { [store] connection in
            try connection.first(store.nextLoss, id)?.optionalInteger("left_ms").map { .milliseconds($0) }
        }
    }

    private func expiryLoop() async throws {
        while true {
            let count = seat.changed.count
            guard let until = seat.heldUntil else {
                try await seat.changed.wait(after: count)
                continue
            }
            try await time.wait(until: until)
            let now = time.uptime
            if seat.change({ $0.expire(now: now) }) { await standDown() }
        }
    }

    /// At shutdown: passes on at once what this server holds.
    public func end() async {
        let fence = seat.fence
        seat.change { $0.end() }
        guard let fence else { return }
        do {
            try await database.write { [store, seat] in try $0.run(store.end, seat.id, fence) }
        } catch {
            log.warning("lease not given back", ["error": "\(error)"])
        }
    }

    /// Those that live, this one among them.
    public func living() async throws -> [ReplicaRecord] {
        try await database.read { [store] connection in
            try connection.rows(store.living).map { row in
                try ReplicaRecord(row)
            }
        }
    }

    /// One look at the lease: renewed, or won again where it was lost; and at what the dead have left.
    public func renew() async throws {
        guard !seat.hasEnded else { return }
        let sentAt = time.uptime
        if let fence = seat.fence {
            let address = address.value
            let isGranted = try await database.write { [store, seat] connection in
                let duration = ReplicaLease.duration.wholeMilliseconds
                return try connection.first(store.renew, seat.id, fence, duration, address) != nil
            }
            let now = time.uptime
            seat.change { isGranted ? $0.renewed(sentAt: sentAt, now: now) : $0.refused() }
            tally.count { isGranted ? ($0.renewals += 1) : ($0.failures += 1) }
            if !isGranted { await standDown() }
        } else if try await !registerAgain() {
            log.error(
                "another server uses the identity of this data directory; this one does nothing until it has ended",
                ["replica_id": seat.id]
            )
        }
        if address.isForWorkers { seat.know(servers: try await living().compactMap(\.address)) }
        guard seat.isActing(at: time.uptime), try await adopt() else { return }
        await observer.adopted()
    }

    private typealias Registration =
        @Sendable (
            _ connection: any SQLConnection, ReplicaID, _ address: String?, _ version: String, _ duration: Int64
        ) throws -> Row?

    private func registerAgain() async throws -> Bool {
        let last = seat.lastFence ?? 0
        return try await register { [store] connection, id, address, version, duration in
            try connection.first(store.beginAgain, id, address, version, duration, last)
        }
    }

    /// Returns false when another process holds the lease of this id.
    private func register(_ registration: @escaping Registration) async throws -> Bool {
        let sentAt = time.uptime
        let (id, address, version) = (seat.id, address.value, version)
        let fence = try await database.write { connection in
            try registration(connection, id, address, version, ReplicaLease.duration.wholeMilliseconds)?
                .integer("fence")
        }
        guard let fence else { return false }
        seat.change { $0.registered(fence: fence, sentAt: sentAt) }
        log.info("registered", ["replica_id": id, "fence": fence])
        return true
    }

    /// Returns whether there was something.
    private func adopt() async throws -> Bool {
        guard let fence = seat.fence, try await database.read({ [store] in try $0.first(store.anyUnowned) }) != nil
        else { return false }
        let id = seat.id
        let count = try await database.write { [store] in try $0.run(store.adoptWorkers, id, fence) }
        if count > 0 {
            tally.count { $0.adoptedWorkers += UInt64(count) }
            log.info("workers taken over", ["count": count])
        }
        return count > 0
    }

    private func standDown() async {
        tally.count { $0.losses += 1 }
        guard seat.isShared else { return }
        log.error("lease lost; nothing is done until it is won again", ["replica_id": seat.id])
        await observer.stoodDown()
    }
}

private final class AddressBox: Sendable {
    private let stored = Mutex<(url: String, isForWorkers: Bool)?>(nil)

    func set(_ url: String, _ isForWorkers: Bool) { stored.withLock { $0 = (url, isForWorkers) } }
    var value: String? { stored.withLock { $0?.url } }
    var isForWorkers: Bool { stored.withLock { $0?.isForWorkers } ?? false }
}
