import Base
import Database
import DatabasePostgres
import FoundationEssentials
import Migrations

/// What the services do without HTTP and sockets: `dispatch-bench sqlite:PATH|postgres://… OUTPUT-DIRECTORY [COUNT]`.
///
/// 100 completions are in flight at any time. *ends*: the worker's word about runs that it was given before, each with its
/// fence checked, its event recorded and all of it durable. *dispatched*: the same with the queue's next execution
/// claimed and handed to a worker in place of each that ended. PostgreSQL is measured with commits that waiting
/// transactions share, and with one commit for each, over as many organizations as there are connections.
@main struct DispatchBench {
    static let inFlight = 100

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 2 else {
            return print("usage: dispatch-bench sqlite:PATH|postgres://… OUTPUT-DIRECTORY [COUNT]")
        }
        let (place, output) = (arguments[1], arguments[2])
        let count = arguments.count > 3 ? Int(arguments[3]) ?? 20_000 : 20_000
        if place.hasPrefix("sqlite:") {
            let configuration = SQLiteConfiguration(path: String(place.dropFirst(7)))
            let database = try SQLiteDatabase(configuration, time: SystemTime())
            try await measure(database, output, count, organizations: 1, commits: "shared")
        } else {
            var configuration = try PostgresConfiguration(url: Secret(place))
            for organizations in [1, configuration.writers] {
                let database = try PostgresDatabase(configuration, time: SystemTime())
                try await measure(database, output, count, organizations: organizations, commits: "shared")
            }
            (configuration.groupLimit, configuration.writers) = (1, 32)
            let database = try PostgresDatabase(configuration, time: SystemTime())
            try await measure(database, output, count, organizations: configuration.writers, commits: "one each")
        }
    }

    private static func measure(
        _ database: any SQLDatabase,
        _ output: String,
        _ count: Int,
        organizations: Int,
        commits: String
    ) async throws {
        try await Migrator(ServerSchema.migrations, time: SystemTime()).migrate(database)
        let plane = try await Plane(database, output: output, organizations: organizations)
        for (name, run) in [("ends", plane.ends), ("dispatched", plane.dispatched)] {
            let cost = try await run(count, inFlight)
            let line = Line(
                row: name,
                engine: database.dialect.name,
                organizations: organizations,
                commits: commits,
                count: count,
                perSecond: (Double(count) / cost.seconds).rounded(),
                flushMilliseconds: try Flush.milliseconds(in: output),
                processorMicroseconds: (cost.processorSeconds / Double(count) * 1e7).rounded() / 10
            )
            print(try JSONColumn.text(line))
        }
        await database.close()
    }

    private struct Line: Encodable {
        var row: String
        var engine: String
        var organizations: Int
        var commits: String
        var count: Int
        var perSecond: Double
        /// Of the disk beneath the output, right after.
        var flushMilliseconds: Double
        /// Of one, user and system, in this process.
        var processorMicroseconds: Double
    }
}
