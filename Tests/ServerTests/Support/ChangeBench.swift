import API
import Base
import Database
import EventLoop
import Synchronization
import TestSupport
import Transport

@testable import Server

/// A database with one organization, its feed, and things that change.
struct ChangeBench: Sendable {
    let database: CountingDatabase
    let feed: Feed
    let organization: OrganizationID
    let loop: EventLoop

    static func with(_ body: (ChangeBench) async throws -> Void) async throws {
        let loop = try EventLoop(name: "changes")
        loop.start()
        defer { loop.stop() }
        try await withDatabase { database in
            let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
            let organization: OrganizationID = ids.make()
            try await database.write { connection in
                try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
                try connection.run("INSERT INTO feed (organization_id) VALUES ($1)", organization)
                try connection.executeScript(
                    "CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)"
                )
            }
            let counting = CountingDatabase(database)
            try await body(
                ChangeBench(database: counting, feed: Feed(counting), organization: organization, loop: loop)
            )
        }
    }

    /// Makes or changes a thing, and says so.
    @discardableResult
    func change(_ id: String, owner: UserID? = nil, type: String = "thing.changed", at: Int64 = 1) async throws
        -> Int64?
    {
        try await feed.transaction(organization: organization) { transaction in
            try transaction.run(
                "INSERT INTO things (id, version) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET version = things.version + 1",
                id
            )
            let version = try transaction.first("SELECT version FROM things WHERE id = $1", id)?.integer("version") ?? 0
            let payload = "{\"version\":\(version)}"
            transaction.record(
                NewEvent(type, subject: id, ownerID: owner, payload: payload, at: Timestamp(milliseconds: at))
            )
        }.seq
    }

    func choice(_ filter: ChangeFilter = ChangeFilter(), user: UserID? = nil) -> ChangeChoice {
        ChangeChoice(filter: filter, user: user, form: .serverSentEvents)
    }

    /// Rows of things, ascending by id.
    var source: SnapshotSource {
        SnapshotSource(kind: "thing", prefix: "thing_", isAscending: true) { connection, _, _, after, limit in
            try connection.rows("SELECT id, version FROM things WHERE id > $1 ORDER BY id LIMIT $2", after ?? "", limit)
                .map(Self.row)
        } find: { connection, _, _, id in
            try connection.first("SELECT id, version FROM things WHERE id = $1", id).map(Self.row)
        }
    }

    private static func row(_ row: Row) throws -> SnapshotRow {
        SnapshotRow(kind: "thing", subject: try row.text("id"), value: ["version": try row.integer("version")])
    }

    /// Starts a viewer; cancel the task to end it.
    func view(
        _ sink: CollectingSink,
        _ choice: ChangeChoice,
        after: Int64,
        snapshot: ChangeSnapshot? = nil,
        tails: ChangeTails
    ) -> LoopTask {
        loop.spawn { [self] in
            do {
                let seat = try tails.enter(organization, loop: loop)
                defer { seat.leave() }
                let viewer = ChangeViewer(feed: feed, organization: organization, choice: choice, sink: sink)
                try await viewer.run(after: after, snapshot: snapshot, tail: seat.tail)
            } catch {
                sink.end(error)
            }
        }
    }
}

/// Counts readings on their way to a database.
final class CountingDatabase: SQLDatabase {
    private let base: any SQLDatabase
    private let count = Atomic<Int>(0)

    init(_ base: any SQLDatabase) { self.base = base }

    var reads: Int { count.load(ordering: .relaxed) }
    var dialect: any SQLDialect { base.dialect }
    var queues: (reads: Int, writes: Int) { base.queues }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        count.wrappingAdd(1, ordering: .relaxed)
        return try await base.read(body)
    }

    func write<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        try await base.write(body)
    }

    func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value? {
        try await base.find(query, values)
    }

    func close() async { await base.close() }
}

/// Takes blocks, or refuses them while it is stalled.
final class CollectingSink: ChangeSink {
    private struct State {
        var events: [ServerSentEvent] = []
        var parser = EventStreamParser()
        var isStalled = false
        var offers = 0
        var failure: (any Error)?
    }

    private let state = Mutex(State())
    private let bell = Wakeup()
    private let goOn = Wakeup()

    var events: [ServerSentEvent] { state.withLock { $0.events } }
    var failure: (any Error)? { state.withLock { $0.failure } }
    func stall() { state.withLock { $0.isStalled = true } }

    func unstall() {
        state.withLock { $0.isStalled = false }
        goOn.ring()
    }

    func end(_ error: any Error) {
        state.withLock { $0.failure = error }
        bell.ring()
    }

    func offer(_ block: ChangeBlock) -> Bool {
        guard !state.withLock({ $0.isStalled }) else { return false }
        take(block)
        return true
    }

    func write(_ block: ChangeBlock) async throws {
        while true {
            let count = goOn.count
            guard state.withLock({ $0.isStalled }) else { break }
            try await goOn.wait(after: count)
        }
        take(block)
    }

    private func take(_ block: ChangeBlock) {
        guard case .events(let block) = block else { return }
        state.withLock { state in
            do { state.events += try state.parser.feed(Array(block.events)) } catch { state.failure = error }
        }
        bell.ring()
    }

    /// Numbers of the changes so far.
    var numbers: [Int64] { events.filter { $0.event == "change" }.compactMap { $0.id.flatMap { Int64($0) } } }

    func wait(_ isReached: @Sendable ([ServerSentEvent]) -> Bool) async throws {
        let deadline = SystemTime().uptime + .seconds(30)
        while true {
            let count = bell.count
            if failure != nil || isReached(events) { return }
            guard SystemTime().uptime < deadline else { throw BerthError(.timedOut, "the events did not come") }
            try await bell.wait(after: count, until: deadline, time: SystemTime())
        }
    }
}
