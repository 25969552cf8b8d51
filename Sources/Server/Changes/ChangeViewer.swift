import Base
import Database

/// One viewer of an organization's feed. It is sent the rows that it asked for, catches up from the table at its own pace,
/// then lives with the tail until it falls behind. Nothing is read before the viewer has taken what came before.
struct ChangeViewer {
    let feed: Feed
    let organization: OrganizationID
    let choice: ChangeChoice
    let sink: any ChangeSink

    private static let batch = 256

    /// - Parameters:
    ///   - snapshot: the rows to begin with; `after` is then where they end.
    ///   - tail: nil to end after what is stored now.
    func run(after: Int64, snapshot: ChangeSnapshot?, tail: ChangeTail?) async throws {
        var after = after
        if let snapshot { after = try await send(snapshot) }
        while true {
            after = try await catchUp(after)
            guard let tail else { return }
            after = try await tail.follow(sink, choice, after: after)
        }
    }

    private func catchUp(_ start: Int64) async throws -> Int64 {
        var after = start
        while true {
            let entries = try await feed.next(organization, after: after, limit: Self.batch).map(ChangeEntry.init)
            guard let last = entries.last?.event.seq else { return after }
            var encoder = ChangeEncoder(choice.form)
            try encoder.append(entries, for: choice)
            if !encoder.isEmpty { try await sink.write(encoder.finish()) }
            after = last
            guard entries.count == Self.batch else { return after }
            // The loop has others to serve.
            await Task.yield()
        }
    }

    /// Rows, then what happened to them while others were read, then the number that all of it shows.
    private func send(_ snapshot: ChangeSnapshot) async throws -> Int64 {
        var snapshot = snapshot
        while let rows = try await snapshot.next(feed, organization, choice) {
            var encoder = ChangeEncoder(choice.form)
            for row in rows { encoder.append("row", id: nil, try row.json()) }
            if !encoder.isEmpty { try await sink.write(encoder.finish()) }
            await Task.yield()
        }
        let span = try await snapshot.span(feed, organization)
        var after = span.lowerBound
        while after < span.upperBound {
            let limit = min(Self.batch, Int(span.upperBound - after))
            let events = try await feed.next(organization, after: after, limit: limit)
            guard let last = events.last?.seq else { break }
            var encoder = ChangeEncoder(choice.form)
            for event in events where choice.shows(event) && snapshot.isNews(event) {
                encoder.append("change", id: nil, ChangeEntry(event).json)
            }
            if !encoder.isEmpty { try await sink.write(encoder.finish()) }
            after = last
        }
        var encoder = ChangeEncoder(choice.form)
        try encoder.appendPosition(span.upperBound, as: "snapshot")
        try await sink.write(encoder.finish())
        return span.upperBound
    }
}
