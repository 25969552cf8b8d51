public import Base
import Database
import DatabasePostgres
import Migrations
import Synchronization

/// A PostgreSQL server of a test run's own (initdb, a socket in a temporary directory, no port). It ends with the test
/// process, however that ends, or with this object.
public final class PostgresCluster: Sendable {
    public let directory: TemporaryDirectory
    private let process: ChildProcess
    private let names = Mutex(0)

    /// - Parameter settings: such as `fsync=off`.
    public init(_ settings: [String]) async throws {
        directory = try TemporaryDirectory("postgres")
        process = try ChildProcess(["sh", ScriptedPeer.path("postgres.sh"), directory.path] + settings)
        _ = try await process.line(containing: "up", within: .seconds(60))
    }

    /// The one that tests share: fast and not durable.
    public static func shared() async throws -> PostgresCluster { try await sharing.cluster() }

    private static let sharing = Sharing()

    private actor Sharing {
        private var starting: Task<PostgresCluster, any Error>?

        func cluster() async throws -> PostgresCluster {
            let task =
                starting
                ?? Task {
                    let cluster = try await PostgresCluster([
                        "fsync=off", "synchronous_commit=off", "full_page_writes=off",
                    ])
                    try await cluster.makeTemplate()
                    return cluster
                }
            starting = task
            return try await task.value
        }
    }

    public func url(_ database: String, user: String = "berth") -> Secret<String> {
        Secret("postgres:///\(database)?host=\(directory.path)&user=\(user)")
    }

    /// Runs statements with psql.
    @discardableResult
    public func psql(_ text: String, database: String = "postgres") async throws -> String {
        try await check(["psql", "-h", directory.path, "-U", "berth", "-d", database, "-XqAt", "-c", text])
    }

    public func freshName() -> String {
        "t"
            + String(
                names.withLock {
                    $0 += 1; return $0
                }
            )
    }

    private static let template = "template_berth"

    /// A database with the control plane's schema, which others are copies of.
    private func makeTemplate() async throws {
        try await psql("CREATE DATABASE \(Self.template)")
        let database = try PostgresDatabase(PostgresConfiguration(url: url(Self.template)), time: SystemTime())
        try await Migrator(ServerSchema.migrations, time: SystemTime()).migrate(database)
        await database.close()
    }

    /// Runs `body` with a database of its own, which is gone afterwards.
    public func withDatabase<Result>(migrated: Bool, _ body: (_ name: String) async throws -> Result) async throws
        -> Result
    {
        let name = freshName()
        try await psql("CREATE DATABASE \(name) TEMPLATE \(migrated ? Self.template : "template0")")
        let result: Result
        do {
            result = try await body(name)
        } catch {
            try await psql("DROP DATABASE \(name) WITH (FORCE)")
            throw error
        }
        try await psql("DROP DATABASE \(name) WITH (FORCE)")
        return result
    }

    /// kill -9 of the server and all of its processes.
    public func kill() async throws { try await tell("kill") }
    public func start() async throws { try await tell("start") }
    /// SIGSTOP, and SIGCONT.
    public func freeze() async throws { try await tell("freeze") }
    public func thaw() async throws { try await tell("thaw") }

    private let told = Mutex<[String: Int]>([:])

    private func tell(_ command: String) async throws {
        process.send(command + "\n")
        let count = told.withLock { told in
            told[command, default: 0] += 1
            return told[command, default: 0]
        }
        try await process.lines(containing: "did \(command)", atLeast: count)
    }
}
