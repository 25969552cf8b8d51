import API
import Accounts
import Base
import Crypto
import Database
import Domain
import Environments
import EventLoop
import Executions
import Migrations
import Providers
import Transport
import Vault
import Workers
import Workspaces

/// The one place that knows all parts: makes them, wires their bridges, and runs their loops.
struct Composition: Sendable {
    let core: ServerCore
    let http: HTTPServer
    let links: LinkSockets
    private let configuration: Configuration
    private let log: Log

    static func make(
        _ configuration: Configuration,
        _ directory: DataDirectory,
        loops: [EventLoop],
        time: any TimeSource,
        log: Log
    ) async throws -> Composition {
        let randomness = SystemRandomness()
        let ids = IDSource(time: time, randomness: randomness)
        let metrics = Metrics()
        let database = try SQLiteDatabase(SQLiteConfiguration(path: directory.databasePath), time: time)
        try await Migrator(ServerSchema.migrations, time: time).migrate(database)
        let feed = Feed(database)
        let accounts = Accounts(database: database, feed: feed, ids: ids, time: time, randomness: randomness)
        let principal = try await accounts.bootstrapSingleUser()
        try await APIKeyFile.ensure(directory, accounts, principal)
        let sealer = Sealer(try keys(configuration, directory, randomness), randomness: randomness)
        fatalError("wired below")
    }

    private static func keys(_ configuration: Configuration, _ directory: DataDirectory, _ randomness: any Randomness)
        throws(BerthError) -> KeyRing
    {
        if let given = configuration.secret("masterKey") { return KeyRing(current: try MasterKey(hex: given)) }
        return try KeyFile.load(path: directory.masterKeyPath, randomness: randomness)
    }
}
