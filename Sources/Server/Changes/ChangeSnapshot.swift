import API
import Base
import Database

/// A row of a snapshot, as its own route shows it.
struct SnapshotRow: Sendable {
    let kind: String
    let subject: String
    let value: any Encodable & Sendable

    func json() throws -> [UInt8] {
        var text = Array(#"{"kind":"\#(kind)","row":"#.utf8)
        text += try JSONBody.encode(value)
        return text + Array(#","subject":\#(JSONText.quoted(subject))}"#.utf8)
    }
}

/// How the rows of one noun are read.
struct SnapshotSource: Sendable {
    /// Noun of its events.
    let kind: String
    /// Beginning of its ids.
    let prefix: String
    let isAscending: Bool
    /// The next rows behind an id, in the order of ids, at most `limit`, that `user` may see.
    let page:
        @Sendable (any SQLConnection, OrganizationID, UserID?, _ after: String?, _ limit: Int) throws -> [SnapshotRow]
    let find: @Sendable (any SQLConnection, OrganizationID, UserID?, _ id: String) throws -> SnapshotRow?
}

/// The rows with which a stream begins, read page by page. Each page shows its part of the rows as of one number, so a
/// change is told to the viewer exactly if the page that its subject is on was read before it.
struct ChangeSnapshot: Sendable {
    private struct Page {
        let source: SnapshotSource
        /// Its last id; nil: whatever comes.
        let end: String?
        let seq: Int64

        func covers(_ subject: String) -> Bool {
            guard subject.hasPrefix(source.prefix) else { return false }
            return end.map { source.isAscending ? subject <= $0 : subject >= $0 } ?? true
        }
    }

    /// What is still to be read: a source with the id behind which it goes on, or single rows of it.
    private enum Part {
        case pages(SnapshotSource, after: String?)
        case rows(SnapshotSource, [String])
    }

    private var parts: [Part]
    private var pages: [Page] = []

    private static let limit = 200

    init(_ sources: [SnapshotSource], _ filter: ChangeFilter) {
        parts = sources.filter { filter.names($0.kind) }.compactMap { source in
            guard !filter.subjects.isEmpty else { return .pages(source, after: nil) }
            let ids = filter.subjects.filter { $0.hasPrefix(source.prefix) }
            return ids.isEmpty ? nil : .rows(source, ids)
        }
    }

    /// The next rows; nil after the last ones.
    mutating func next(_ feed: Feed, _ organization: OrganizationID, _ choice: ChangeChoice) async throws
        -> [SnapshotRow]?
    {
        guard let part = parts.first else { return nil }
        let user = choice.user
        let rows: [SnapshotRow]
        switch part {
        case .pages(let source, let after):
            let read = try await feed.snapshot(organization) { connection in
                try source.page(connection, organization, user, after, Self.limit)
            }
            rows = read.value
            let isLast = rows.count < Self.limit
            pages.append(Page(source: source, end: isLast ? nil : rows.last?.subject, seq: read.seq))
            if isLast { parts.removeFirst() } else { parts[0] = .pages(source, after: rows.last?.subject) }
        case .rows(let source, let ids):
            let read = try await feed.snapshot(organization) { connection in
                try ids.compactMap { try source.find(connection, organization, user, $0) }
            }
            rows = read.value
            pages.append(Page(source: source, end: nil, seq: read.seq))
            parts.removeFirst()
        }
        return rows
    }

    /// From the number that the first page shows to that of the last one.
    func span(_ feed: Feed, _ organization: OrganizationID) async throws -> ClosedRange<Int64> {
        guard let first = pages.first?.seq, let last = pages.last?.seq else {
            let now = try await feed.position(organization)
            return now...now
        }
        return first...max(first, last)
    }

    /// Whether the row that it is about was read before it happened.
    func isNews(_ event: Event) -> Bool {
        guard let page = pages.first(where: { $0.covers(event.subject) }) else { return false }
        return event.seq > page.seq
    }
}
