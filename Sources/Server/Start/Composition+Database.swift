import Base
import Crypto
import Database
import DatabasePostgres
import Migrations

// The database that the configuration names, and the deployment key that goes with it.
extension Composition {
    /// Open, with its schema up to date, and with the key that its secrets open with.
    static func database(
        _ configuration: Configuration,
        _ directory: DataDirectory,
        randomness: any Randomness,
        time: any TimeSource,
        log: Log
    ) async throws -> (any SQLDatabase, KeyRing) {
        let migrator = Migrator(ServerSchema.migrations, time: time)
        guard let url = configuration.databaseURL else {
            // Before the file is made, so that a database without its key always means that the key was lost.
            let ring = try keys(configuration, directory, randomness)
            let database = try SQLiteDatabase(SQLiteConfiguration(path: directory.databasePath), time: time)
            try await migrator.migrate(database)
            return (database, ring)
        }
        let database = try PostgresDatabase(PostgresConfiguration(url: url), time: time)
        try await whileUnavailable(time, log) {
            let version = try await database.serverVersion()
            log.info("database", ["engine": "postgres", "version": version])
            try await migrator.migrate(database)
        }
        let ring = try await sharedKeys(database, configuration, directory, randomness)
        try await DeploymentKey.verify(ring, in: database, at: time.now)
        return (database, ring)
    }

    /// A database that is on its way up, as after a crash of both, is waited for.
    private static func whileUnavailable(_ time: any TimeSource, _ log: Log, _ body: () async throws -> Void)
        async throws
    {
        let limit = time.uptime + .seconds(60)
        var nextWord = time.uptime
        while true {
            do {
                return try await body()
            } catch let error as BerthError where error.code == .unavailable && error.isRetryable {
                guard time.uptime < limit else { throw error }
                if time.uptime >= nextWord {
                    log.warning("waiting for the database", ["error": error.message])
                    nextWord = time.uptime + .seconds(10)
                }
                try await time.wait(for: .milliseconds(500))
            }
        }
    }

    /// A new key is made only for a database that no server has used.
    private static func sharedKeys(
        _ database: any SQLDatabase,
        _ configuration: Configuration,
        _ directory: DataDirectory,
        _ randomness: any Randomness
    ) async throws -> KeyRing {
        let isGiven = configuration.secret("masterKey") != nil || Files.exists(directory.masterKeyPath)
        let isUsed = try await DeploymentKey.isKnown(in: database)
        guard isGiven || !isUsed else { throw DeploymentKey.missing(directory.masterKeyPath) }
        if let given = configuration.secret("masterKey") { return KeyRing(current: try MasterKey(hex: given)) }
        return try KeyFile.load(path: directory.masterKeyPath, randomness: randomness)
    }
}

/// Which key the secrets of a shared database are sealed with: every server on it needs the same one.
enum DeploymentKey {
    static func isKnown(in database: any SQLDatabase) async throws -> Bool {
        try await database.read { try $0.first(select) != nil }
    }

    /// The first server notes its key's id; another server with another key is refused.
    static func verify(_ ring: KeyRing, in database: any SQLDatabase, at now: Timestamp) async throws {
        let current = ring.currentID
        let noted = try await database.write { connection in
            try connection.run(insert, current, now)
            return try connection.first(select)?.text("value")
        }
        guard let noted, ring.knows(noted) else {
            throw BerthError(
                .sealKeyUnknown,
                "the secrets in the database are sealed with another deployment key",
                field: "masterKey",
                remedy: "give every server on one database the same key: copy master.key from the first, or set "
                    + "BERTH_MASTER_KEY"
            )
        }
    }

    static func missing(_ path: String) -> BerthError {
        BerthError(
            .sealKeyUnknown,
            "the database is in use with a deployment key that this server does not have",
            field: "masterKey",
            remedy: "copy master.key of the first server to \(path), or set BERTH_MASTER_KEY on every server"
        )
    }

    static let select: SQL = "SELECT value FROM settings WHERE name = 'deployment.key'"
    static let insert: SQL = """
        INSERT INTO settings (name, value, updated_at) VALUES ('deployment.key', $1, $2) ON CONFLICT (name) DO NOTHING
        """
    static let statements = [select, insert]
}
