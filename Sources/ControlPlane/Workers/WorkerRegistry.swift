public import Base
public import Domain
import Synchronization

/// Which workers are connected, what each holds, and when a silent one is lost. Memory only: rebuilt from hellos after
/// a restart. Every method returns at once.
public final class WorkerRegistry: Sendable {
    struct Entry: Sendable {
        var candidate: WorkerCandidate
        /// nil while it is away.
        var link: WorkerLink?
        var connection: Int64
        var slots: Int
        var isReady: Bool
        /// Its environment is about to rest: nothing new is given to it.
        var isDraining = false
        var held: [ExecutionID: Int]
        /// While away: when its attempts are given up.
        var lostAt: Uptime?
    }

    private let entries = Mutex<[WorkerID: Entry]>([:])
    /// Rings when somebody went away or came back.
    let changed = Wakeup()

    /// Which server its workers are connected to.
    public let seat: ReplicaSeat

    public init(seat: ReplicaSeat = ReplicaSeat()) { self.seat = seat }

    /// Ready workers with a free slot, by id.
    public func candidates() -> [WorkerCandidate] {
        entries.withLock { entries in
            entries.values.filter(\.canTakeWork).map(\.candidate)
        }
        .sorted { $0.workerID < $1.workerID }
    }

    /// Workers are connected, and none of them has a free slot.
    public var isAtCapacity: Bool {
        entries.withLock { entries in
            entries.values.contains { $0.link != nil && $0.isReady } && !entries.values.contains(where: \.canTakeWork)
        }
    }

    public func isConnected(_ worker: WorkerID) -> Bool {
        entries.withLock { $0[worker]?.link != nil }
    }

    /// Connected, ready workers of an instance.
    public func isReady(environment: EnvironmentID, instance: Int64) -> Bool {
        entries.withLock { entries in
            entries.values.contains {
                $0.link != nil && $0.isReady && $0.candidate.environmentID == environment
                    && $0.candidate.instance == instance
            }
        }
    }

    /// Whether the workers of an environment are given anything new.
    public func setDraining(_ isDraining: Bool, environment: EnvironmentID) {
        entries.withLock { entries in
            for worker in entries.keys where entries[worker]?.candidate.environmentID == environment {
                entries[worker]?.isDraining = isDraining
            }
        }
    }

    func heldCount(in environment: EnvironmentID) -> Int {
        entries.withLock { entries in
            entries.values.reduce(0) { $0 + ($1.candidate.environmentID == environment ? $1.held.count : 0) }
        }
    }

    /// Connections of incarnations that have ended.
    func links(environment: EnvironmentID, upTo instance: Int64) -> [WorkerLink] {
        entries.withLock { entries in
            entries.filter { _, entry in
                entry.candidate.environmentID == environment && entry.candidate.instance ?? .max <= instance
            }
            .sorted { $0.key < $1.key }.compactMap(\.value.link)
        }
    }

    /// Takes a slot for an attempt; false when there is none, or the worker has gone.
    public func reserve(_ worker: WorkerID, for key: AttemptKey) -> Bool {
        entries.withLock { entries in
            // Changed where it lies: a copy would copy all that it holds.
            guard let index = entries.index(forKey: worker), entries.values[index].canTakeWork else { return false }
            entries.values[index].held[key.executionID] = key.attempt
            entries.values[index].countSlots()
            // A documented peer says `ready` again when it can take the next one.
            if entries.values[index].candidate.protocolVersion == nil { entries.values[index].isReady = false }
            return true
        }
    }

    /// Gives the slot back. Returns whether the worker can take work now.
    @discardableResult
    public func release(_ worker: WorkerID, _ key: AttemptKey) -> Bool {
        entries.withLock { entries in
            guard let index = entries.index(forKey: worker),
                entries.values[index].held[key.executionID] == key.attempt
            else { return false }
            entries.values[index].held[key.executionID] = nil
            entries.values[index].countSlots()
            let canTakeWork = entries.values[index].canTakeWork
            if entries.values[index].link == nil, entries.values[index].held.isEmpty { entries.remove(at: index) }
            return canTakeWork
        }
    }

    /// The books say that this worker holds an attempt and was connected here last, by `connection`; unless it is here it
    /// has until `lostAt` to come.
    public func expect(
        _ worker: WorkerID,
        organization: OrganizationID,
        connection: Int64,
        holding key: AttemptKey,
        lostAt: Uptime
    ) {
        entries.withLock { entries in
            var entry =
                entries[worker]
                ?? Entry(
                    candidate: WorkerCandidate(
                        workerID: worker,
                        organizationID: organization,
                        environmentID: nil,
                        instance: nil,
                        capabilities: [],
                        protocolVersion: nil,
                        freeSlots: 0
                    ),
                    link: nil,
                    connection: connection,
                    slots: 0,
                    isReady: false,
                    held: [:],
                    lostAt: lostAt
                )
            if entry.link == nil {
                entry.held[key.executionID] = key.attempt
                entry.connection = max(entry.connection, connection)
            }
            entries[worker] = entry
        }
        changed.ring()
    }

    func links() -> [WorkerLink] {
        entries.withLock { $0.sorted { $0.key < $1.key }.compactMap(\.value.link) }
    }

    func link(of worker: WorkerID) -> WorkerLink? { entries.withLock { $0[worker]?.link } }

    func link(of worker: WorkerID, connection: Int64) -> WorkerLink? {
        entries.withLock { entries in entries[worker].flatMap { $0.connection == connection ? $0.link : nil } }
    }

    func held(by worker: WorkerID) -> [AttemptKey] {
        entries.withLock { $0[worker]?.keys ?? [] }
    }

    /// A connection was admitted; returns the one that it replaces.
    func connect(_ candidate: WorkerCandidate, link: WorkerLink, connection: Int64, held: [AttemptKey]) -> WorkerLink? {
        defer { changed.ring() }
        return entries.withLock { entries in
            let earlier = entries[candidate.workerID]?.link
            var entry = Entry(
                candidate: candidate,
                link: link,
                connection: connection,
                slots: 0,
                isReady: false,
                held: [:],
                lostAt: nil
            )
            for key in held { entry.held[key.executionID] = key.attempt }
            entries[candidate.workerID] = entry
            return earlier
        }
    }

    func becomeReady(_ worker: WorkerID, connection: Int64, slots: Int) {
        entries.withLock { entries in
            guard var entry = entries[worker], entry.connection == connection else { return }
            entry.slots = slots
            entry.isReady = true
            entry.countSlots()
            entries[worker] = entry
        }
    }

    /// Returns the connection if it is still the one that is meant.
    func stopGiving(_ worker: WorkerID, connection: Int64) -> WorkerLink? {
        entries.withLock { entries in
            guard let entry = entries[worker], entry.connection == connection else { return nil }
            entries[worker]?.isReady = false
            return entry.link
        }
    }

    /// The worker has connected to another server: it is no longer expected here. Returns an older connection that is
    /// still open, and is given nothing more.
    func yield(_ worker: WorkerID, before connection: Int64) -> WorkerLink? {
        defer { changed.ring() }
        return entries.withLock { entries in
            guard let entry = entries[worker], entry.connection < connection else { return nil }
            entries[worker] = nil
            return entry.link
        }
    }

    /// Its socket is gone. Returns false when a newer connection has taken its place.
    func disconnect(_ worker: WorkerID, connection: Int64, lostAt: Uptime) -> Bool {
        defer { changed.ring() }
        return entries.withLock { entries in
            guard var entry = entries[worker], entry.connection == connection else { return false }
            entry.link = nil
            entry.isReady = false
            entry.lostAt = lostAt
            entries[worker] = entry.held.isEmpty ? nil : entry
            return true
        }
    }

    /// The environment is another organization's from now on; returns its worker's connection.
    func hand(environment: EnvironmentID, instance: Int64, to organization: OrganizationID) -> WorkerLink? {
        entries.withLock { entries in
            for (worker, entry) in entries
            where entry.candidate.environmentID == environment && entry.candidate.instance == instance {
                entries[worker]?.candidate.organizationID = organization
                return entry.link
            }
            return nil
        }
    }

    var nextLoss: Uptime? {
        entries.withLock { $0.values.compactMap { $0.link == nil ? $0.lostAt : nil }.min() }
    }

    /// Removes and returns who has been away too long.
    func takeLost(now: Uptime) -> [LostWorker] {
        entries.withLock { entries in
            let lost = entries.filter { $0.value.link == nil && ($0.value.lostAt ?? now) <= now }
                .sorted { $0.key < $1.key }
            for (worker, _) in lost { entries[worker] = nil }
            return lost.map { worker, entry in
                LostWorker(
                    id: worker,
                    organizationID: entry.candidate.organizationID,
                    fence: WorkerFence(replicaID: seat.id, connection: entry.connection),
                    held: entry.keys
                )
            }
        }
    }

    func entry(_ worker: WorkerID) -> Entry? { entries.withLock { $0[worker] } }

    func entry(environment: EnvironmentID, instance: Int64) -> Entry? {
        entries.withLock { entries in
            entries.values.first {
                $0.link != nil && $0.candidate.environmentID == environment && $0.candidate.instance == instance
            }
        }
    }
}

extension WorkerRegistry.Entry {
    var canTakeWork: Bool { link != nil && isReady && !isDraining && candidate.freeSlots > 0 }

    var keys: [AttemptKey] { held.sorted { $0.key < $1.key }.map { AttemptKey($0.key, $0.value) } }

    mutating func countSlots() { candidate.freeSlots = max(0, slots - held.count) }
}

/// Who was away too long, and by which connection it was known.
struct LostWorker: Sendable {
    var id: WorkerID
    var organizationID: OrganizationID
    var fence: WorkerFence
    var held: [AttemptKey]
}
