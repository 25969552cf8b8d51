import API
import Base
import Client

/// `changes`.
enum ChangesCommand {
    static let command = Command(
        path: ["changes"],
        summary: "Show what changed in the organization, oldest first.",
        options: [
            .flag("follow", short: "f", "Go on with what comes, through restarts of the server."),
            .value("after", "N", "Only changes behind this number; default: the last ones."),
            .value("limit", "N", "How many at most, 1 to 1000; default 50. Not with --follow."),
            .value(
                "type",
                "TYPE",
                "Only types that begin so, such as execution. or environment.running.",
                repeats: true
            ),
            .value("subject", "ID", "Only of this thing.", repeats: true),
            .value("kind", "NOUN", "Only of this noun, such as environment.", repeats: true),
            .flag("snapshot", "With --follow: begin with the present rows."),
        ],
        examples: [
            Example(line: "berth changes", about: "The last changes"),
            Example(line: "berth changes -f --kind execution --json", about: "One JSON object per line, for a program"),
            Example(line: "berth changes -f --after 1204", about: "Go on where a program stopped"),
        ]
    ) { arguments, terminal in
        let query = ChangeQuery(
            types: arguments.all("type"),
            subjects: arguments.all("subject"),
            kinds: arguments.all("kind")
        )
        let limit = try arguments.integer("limit", in: 1...1000)
        let after = try arguments.integer("after", in: 0...Int.max)
        let follows = arguments.has("follow")
        let wantsRows = arguments.has("snapshot")
        guard follows || !wantsRows, !follows || limit == nil, after == nil || !wantsRows else {
            throw BerthError(
                .usage,
                "these options do not go together",
                field: wantsRows ? "--snapshot" : "--limit",
                remedy: "--snapshot goes with --follow and without --after; --limit goes without --follow"
            )
        }
        return try await ServerSession.with(arguments, terminal) { session in
            guard follows else {
                try await session.show(query, after: after.map(Int64.init), limit: limit ?? 50)
                return 0
            }
            let start: ChangeEvents.Start = wantsRows ? .snapshot : after.map { .after(Int64($0)) } ?? .now
            // Until it is interrupted.
            return try await session.follow(session.client.changes(query, from: start))
        }
    }
}

extension ServerSession {
    fileprivate func show(_ query: ChangeQuery, after: Int64?, limit: Int) async throws {
        var after = after
        if after == nil {
            let page: ChangePage = try await client.call(.changeList, query: [("limit", "1")])
            after = max(page.oldest - 1, page.last - Int64(limit))
        }
        let page: ChangePage = try await client.call(
            .changeList,
            query: query.parameters + [("after", "\(after ?? 0)"), ("limit", "\(limit)")]
        )
        try print(page) {
            var table = Table(header: ["SEQ", "AGE", "TYPE", "SUBJECT"])
            for change in page.changes {
                table.rows.append(["\(change.sequence)", terminal.age(change.at), change.type, change.subject])
            }
            return terminal.text(table)
        }
    }

    fileprivate func follow(_ events: consuming ChangeEvents) async throws -> Int32 {
        while true {
            let event = try await events.next()
            if isJSON {
                terminal.writeBytes(event.json + Array("\n".utf8), toError: false)
                continue
            }
            switch event.kind {
            case .change(let change):
                terminal.write("\(change.sequence)  \(change.at)  \(change.type.padded(to: 26)) \(change.subject)\n")
            case .row(let row): terminal.write("-  \(row.kind.padded(to: 26)) \(row.subject)\n")
            case .snapshot(let seq): say("as of \(seq)")
            }
        }
    }
}
