import Base
import Database

struct Load: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let time: any TimeSource
    let limit: Duration
    private(set) var organizations: [OrganizationID] = []
    private let row = RowQuery<Int>("SELECT value, updated_at FROM settings WHERE name = $1") {
        try $0.int("updated_at")
    }

    init(database: any SQLDatabase, time: any TimeSource, limit: Duration) {
        (self.database, self.time, self.limit) = (database, time, limit)
        feed = Feed(database)
    }

    mutating func prepare(organizations count: Int) async throws {
        let ids = IDSource(time: time, randomness: SystemRandomness())
        let organizations: [OrganizationID] = (0..<count).map { _ in ids.make() }
        try await database.write { connection in
            for organization in organizations {
                try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
                try connection.run("INSERT INTO feed (organization_id) VALUES ($1)", organization)
                for slot in 0..<200 {
                    try connection.run(
                        "INSERT INTO settings (name, value, updated_at) VALUES ($1, 'x', 0)",
                        "\(organization).\(slot)"
                    )
                }
            }
        }
        self.organizations = organizations
    }

    func completions(_ inFlight: Int, organizations: Int) async throws {
        let all = self.organizations
        try await measure("completions, \(organizations) organization(s)", inFlight) { number, worker in
            let organization = all[worker % all.count]
            let name = "\(organization).\(worker)"
            let now = time.now
            try await feed.transaction(organization: organization) { transaction in
                let read: SQL = "SELECT name, value, updated_at FROM settings WHERE name = $1"
                let version = try transaction.first(read, name)?.int("updated_at") ?? 0
                let update: SQL =
                    "UPDATE settings SET value = $2, updated_at = updated_at + 1 WHERE name = $1 AND updated_at = $3"
                for step in 0..<3 {
                    guard try transaction.run(update, name, "v\(number)", version + step) == 1 else {
                        throw BerthError(.stale, "moved")
                    }
                }
                _ = try transaction.first(read, name)
                transaction.record(NewEvent("execution.ended", subject: name, ownerID: nil, payload: "{}", at: now))
            }
        }
    }

    func reads(_ inFlight: Int) async throws {
        let organization = organizations[0]
        try await measure("reads", inFlight) { number, _ in
            let found = try await database.read {
                try $0.first("SELECT value FROM settings WHERE name = $1", "\(organization).\(number % 200)")
            }
            guard found != nil else { throw BerthError(.notFound, "row") }
        }
    }

    func lookups(_ inFlight: Int) async throws {
        let organization = organizations[0]
        try await measure("lookups", inFlight) { number, _ in
            guard try await database.find(row, "\(organization).\(number % 200)") != nil else {
                throw BerthError(.notFound, "row")
            }
        }
    }

    private func measure(
        _ name: String,
        _ inFlight: Int,
        _ body: @escaping @Sendable (_ number: Int, _ worker: Int) async throws -> Void
    ) async throws {
        let began = time.uptime
        let counts = try await withThrowingTaskGroup(of: (Int, [Int64]).self) { group in
            for worker in 0..<inFlight {
                group.addTask {
                    var waits: [Int64] = []
                    var number = 0
                    while time.uptime - began < limit {
                        let start = time.uptime
                        try await body(number, worker)
                        waits.append((time.uptime - start).wholeNanoseconds)
                        number += 1
                    }
                    return (number, waits)
                }
            }
            return try await group.reduce(into: (0, [Int64]())) { total, one in
                total.0 += one.0
                total.1 += one.1
            }
        }
        let seconds = Double((time.uptime - began).wholeNanoseconds) / 1e9
        let waits = counts.1.sorted()
        let median = Double(waits[waits.count / 2]) / 1e6
        print("\(name), \(inFlight) in flight: \(Int(Double(counts.0) / seconds))/s, p50 \(median) ms")
    }
}
