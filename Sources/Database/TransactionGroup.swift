import Base
import Synchronization

/// What the transactions that share a commit do together, right before it: their events take their numbers with one
/// statement an organization and are stored with as few as possible. Used on the engine's thread.
public final class TransactionGroup {
    private var entries: [FeedEntry] = []

    package init() {}

    func add(_ entry: FeedEntry) { entries.append(entry) }

    /// Hand it to ``forget(from:)`` when the transaction that runs next is undone.
    package var mark: Int { entries.count }

    package func forget(from mark: Int) { entries.removeSubrange(mark...) }

    /// Organizations in one order everywhere, because the rows of `feed` stay locked until the commit.
    package func close(on connection: any SQLConnection) throws {
        let own = Dictionary(grouping: entries, by: \.organization)
        for organization in own.keys.sorted() { try FeedEntry.record(own[organization] ?? [], on: connection) }
        entries = []
    }
}

/// The events of one transaction.
struct FeedEntry {
    let organization: OrganizationID
    let events: [NewEvent]
    /// Set when they have their numbers: the last one's.
    let number = FeedNumber()

    init(_ organization: OrganizationID, _ events: [NewEvent]) {
        (self.organization, self.events) = (organization, events)
    }

    /// Of one organization, in the order in which they happened. Keeps the row of `feed` locked from then on.
    static func record(_ entries: [FeedEntry], on connection: any SQLConnection) throws {
        guard let organization = entries.first?.organization else { return }
        let events = entries.flatMap(\.events)
        guard let row = try connection.first(Feed.advance, organization, events.count) else {
            throw BerthError(
                .notFound,
                "organization \(organization) does not exist",
                detail: events.first?.type
            )
        }
        var seq = try row.integer("seq") - Int64(events.count)
        for entry in entries {
            seq += Int64(entry.events.count)
            entry.number.set(seq)
        }
        seq -= Int64(events.count)
        var rest = events[...]
        for (size, statement) in Feed.inserts {
            while rest.count >= size {
                var values = [organization.sqlValue]
                values.reserveCapacity(1 + 8 * size)
                for event in rest.prefix(size) {
                    seq += 1
                    values.append(.integer(seq))
                    event.add(to: &values)
                }
                try connection.post(statement, values)
                rest.removeFirst(size)
            }
        }
    }
}

extension NewEvent {
    /// In the order of ``Feed/inserts``.
    fileprivate func add(to values: inout [SQLValue]) {
        values.append(.text(type))
        values.append(.integer(Int64(version)))
        values.append(.text(subject))
        values.append(ownerID.sqlValue)
        values.append(actorID.sqlValue)
        values.append(.text(payload))
        values.append(at.sqlValue)
    }
}

/// The number of a transaction's last event, which it gets right before the commit.
final class FeedNumber: Sendable {
    private let number = Mutex<Int64?>(nil)

    var value: Int64? { number.withLock { $0 } }

    func set(_ value: Int64) { number.withLock { $0 = value } }
}
