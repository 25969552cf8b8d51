import API
import Base
import Database
import EventLoop
import Testing
import Transport

@testable import Server

@Suite struct ChangeTailTests {
    @Test func `a crowd of viewers is served by one reading of the table`() async throws {
        try await ChangeBench.with { bench in
            let tails = ChangeTails(bench.feed)
            let sinks = (0..<500).map { _ in CollectingSink() }
            let tasks = sinks.map { bench.view($0, bench.choice(), after: 0, tails: tails) }
            try await bench.change("thing_0")
            for sink in sinks { try await sink.wait { !$0.isEmpty } }
            let before = bench.database.reads
            for number in 1...20 { try await bench.change("thing_\(number)") }
            for sink in sinks { try await sink.wait { $0.last?.id == "21" } }
            // At most one for each change and one more that finds nothing, whoever watches.
            #expect(bench.database.reads - before <= 41)
            for sink in sinks { #expect(sink.numbers == Array(1...21)) }
            for task in tasks { task.cancel() }
        }
    }

    @Test func `a slow viewer holds nobody up and misses nothing`() async throws {
        try await ChangeBench.with { bench in
            let tails = ChangeTails(bench.feed)
            let (quick, slow) = (CollectingSink(), CollectingSink())
            let tasks = [quick, slow].map { bench.view($0, bench.choice(), after: 0, tails: tails) }
            try await bench.change("thing_a")
            try await slow.wait { !$0.isEmpty }
            slow.stall()
            for _ in 0..<1500 { try await bench.change("thing_a") }
            try await quick.wait { $0.last?.id == "1501" }
            #expect(slow.numbers == [1])
            slow.unstall()
            try await slow.wait { $0.last?.id == "1501" }
            #expect(slow.numbers == Array(1...1501))
            #expect(quick.numbers == Array(1...1501))
            for task in tasks { task.cancel() }
        }
    }

    @Test func `a member is shown its own things and the organization's`() async throws {
        try await ChangeBench.with { bench in
            let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
            let (mine, other): (UserID, UserID) = (ids.make(), ids.make())
            let tails = ChangeTails(bench.feed)
            let (member, admin) = (CollectingSink(), CollectingSink())
            let tasks = [
                bench.view(member, bench.choice(user: mine), after: 0, tails: tails),
                bench.view(admin, bench.choice(), after: 0, tails: tails),
            ]
            for number in 0..<300 { try await bench.change("thing_\(number)", owner: [mine, other, nil][number % 3]) }
            try await admin.wait { $0.last?.id == "300" }
            try await member.wait { $0.last?.id == "300" }
            #expect(member.numbers == (1...300).filter { $0 % 3 != 2 })
            #expect(admin.numbers == Array(1...300))
            for task in tasks { task.cancel() }
        }
    }

    @Test func `filters choose by beginning of the type, by noun and by subject, and the position goes on`()
        async throws
    {
        try await ChangeBench.with { bench in
            let tails = ChangeTails(bench.feed)
            var filters: [(ChangeFilter, [Int64])] = []
            filters.append((ChangeFilter(types: ["thing.made", "other."]), [1, 3]))
            filters.append((ChangeFilter(kinds: ["thing"]), [1, 2]))
            filters.append((ChangeFilter(subjects: ["thing_b"]), [2, 3]))
            filters.append((ChangeFilter(subjects: ["thing_b"], kinds: ["thin"]), []))
            let sinks = filters.map { _ in CollectingSink() }
            let tasks = zip(sinks, filters).map { bench.view($0, bench.choice($1.0), after: 0, tails: tails) }
            try await bench.change("thing_a", type: "thing.made")
            try await bench.change("thing_b", type: "thing.changed")
            try await bench.change("thing_b", type: "other.changed")
            for _ in 0..<600 { try await bench.change("thing_c", type: "noise.heard") }
            for (sink, filter) in zip(sinks, filters) {
                // Nothing of the noise is shown, yet one who comes back need not pass over it again.
                try await sink.wait { $0.last?.event == "position" && Int64($0.last?.id ?? "") ?? 0 >= 512 }
                #expect(sink.numbers == filter.1)
            }
            for task in tasks { task.cancel() }
        }
    }

    @Test func `a snapshot and the changes behind it make up the rows, nothing missed and nothing twice`() async throws
    {
        try await ChangeBench.with { bench in
            for number in 0..<700 { try await bench.change("thing_\(1000 + number)") }
            let tails = ChangeTails(bench.feed)
            let sinks = (0..<6).map { _ in CollectingSink() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        for step in 0..<300 {
                            try await bench.change("thing_\(1000 + (step * 7 + writer * 131) % 900)")
                        }
                    }
                }
                for (number, sink) in sinks.enumerated() {
                    group.addTask {
                        try await bench.feed.waitForEvent(bench.organization, after: 700 + Int64(number) * 150)
                        _ = bench.view(
                            sink,
                            bench.choice(),
                            after: 0,
                            snapshot: ChangeSnapshot([bench.source], ChangeFilter()),
                            tails: tails
                        )
                    }
                }
                try await group.waitForAll()
            }
            let last = try await bench.feed.position(bench.organization)
            let rows = try await bench.database.read { try $0.rows("SELECT id, version FROM things") }
            let truth = try Dictionary(
                uniqueKeysWithValues: rows.map { (try $0.text("id"), try $0.integer("version")) }
            )
            for sink in sinks {
                try await sink.wait {
                    $0.last.map { $0.id == "\(last)" && $0.event == "change" } ?? false
                        || $0.contains { $0.event == "snapshot" && $0.id == "\(last)" }
                }
                #expect(try Self.state(sink.events) == truth)
            }
            tails.stop()
        }
    }

    /// Plays what a viewer was sent; every change must be the next one of its thing.
    private static func state(_ events: [ServerSentEvent]) throws -> [String: Int64] {
        var state: [String: Int64] = [:]
        for event in events {
            let data = try JSONValue(parsing: event.data.utf8)
            switch event.event {
            case "row":
                let subject = try #require(data["subject"]?.string)
                #expect(state[subject] == nil, "\(subject) came twice")
                state[subject] = data["row"]?["version"]?.integer
            case "change":
                let subject = try #require(data["subject"]?.string)
                let version = try #require(data["payload"]?["version"]?.integer)
                #expect(version == (state[subject] ?? 0) + 1, "\(subject)")
                state[subject] = version
            default: continue
            }
        }
        return state
    }

    @Test func `one who was away longer than changes are kept is told so, with the way out`() async throws {
        try await ChangeBench.with { bench in
            for number in 1...1300 { try await bench.change("thing_a", at: Int64(number)) }
            let cutoff = Timestamp(milliseconds: 1201)
            let deleted = try await bench.feed.prune(before: cutoff) { _ in 1100 }
            #expect(deleted == 1100)
            #expect(try await bench.feed.prune(before: cutoff) { _ in .max } == 100)
            let bounds = try await bench.feed.bounds(bench.organization)
            #expect(bounds.oldest == 1201 && bounds.last == 1300)
            let tails = ChangeTails(bench.feed)
            let (late, good) = (CollectingSink(), CollectingSink())
            let tasks = [
                bench.view(late, bench.choice(), after: 1199, tails: tails),
                bench.view(good, bench.choice(), after: 1200, tails: tails),
            ]
            try await good.wait { $0.count == 100 }
            try await late.wait { _ in false }
            let error = try #require(late.failure as? BerthError)
            #expect(error.code == .gone && error.code.httpStatus == 410)
            #expect(error.remedy?.contains("after=1200") == true)
            #expect(late.events.isEmpty)
            let ahead = await #expect(throws: BerthError.self) {
                try await bench.feed.next(bench.organization, after: 1301, limit: 1)
            }
            #expect(ahead?.code == .gone)
            for task in tasks { task.cancel() }
        }
    }
}
