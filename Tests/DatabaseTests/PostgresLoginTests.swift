import Base
import Database
import DatabasePostgres
import FoundationEssentials
import TestSupport
import Testing

/// Wrong settings: each has its own words, and none shows the password.
@Suite struct PostgresLoginTests {
    private func failure(_ url: Secret<String>) async throws -> BerthError {
        let database = try PostgresDatabase(PostgresConfiguration(url: url), time: SystemTime())
        let error = await #expect(throws: BerthError.self) { _ = try await database.serverVersion() }
        await database.close()
        let found = try #require(error)
        #expect(found.code == .unavailable)
        #expect(found.remedy != nil)
        for text in [found.message, found.detail ?? "", found.remedy ?? ""] { #expect(!text.contains("hunter2")) }
        return found
    }

    @Test(arguments: [
        "mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "postgres://u:hunter2@[::1/d",
        "postgres://u:hunter2@h/d?nosuch=hunter2", "postgres://u:hunter2%zz@h/d", "postgres://u:hunter2@h/d\0",
    ])
    func `a URL that is none is refused without its password`(url: String) throws {
        let error = #expect(throws: BerthError.self) { try PostgresConfiguration(url: Secret(url)) }
        #expect(error?.code == .invalidValue)
        #expect(error?.field == "database")
        #expect("\(error.map { "\($0)\($0.detail ?? "")" } ?? "")".contains("hunter2") == false)
    }

    @Test func `no such database, no such host`() async throws {
        let cluster = try await PostgresCluster.shared()
        let database = try await failure(cluster.url("nosuch"))
        #expect(database.message.contains("no such database"))
        let host = try await failure(Secret("postgres://u:hunter2@nosuch.invalid/d"))
        #expect(host.message.contains("not reachable"))
    }

    @Test func `a wrong password, a full server and a read-only one are told apart`() async throws {
        let cluster = try await PostgresCluster(["fsync=off"])
        let rules = "local all berth trust\nlocal all all scram-sha-256\n"
        try Data(rules.utf8).write(to: URL(filePath: cluster.directory.file("data/pg_hba.conf")))
        try await cluster.psql("SELECT pg_reload_conf()")
        try await cluster.psql("CREATE ROLE plain LOGIN PASSWORD 'right' CONNECTION LIMIT 1")
        let socket = cluster.directory.path
        let wrong = try await failure(Secret("postgres://plain:hunter2@/postgres?host=\(socket)"))
        #expect(wrong.message.contains("refuses the login"))

        let good = Secret("postgres://plain:right@/postgres?host=\(socket)")
        let holder = try PostgresDatabase(PostgresConfiguration(url: good), time: SystemTime())
        _ = try await holder.serverVersion()
        let full = try await failure(good)
        #expect(full.message.contains("no connection left"))
        await holder.close()

        try await cluster.psql("ALTER DATABASE postgres SET default_transaction_read_only = on")
        let readOnly = try await failure(cluster.url("postgres"))
        #expect(readOnly.message.contains("read-only"))
    }

    @Test func `a database in another encoding than UTF-8 is refused`() async throws {
        let cluster = try await PostgresCluster.shared()
        let name = cluster.freshName()
        try await cluster.psql("CREATE DATABASE \(name) ENCODING 'LATIN1' TEMPLATE template0")
        let database = try PostgresDatabase(PostgresConfiguration(url: cluster.url(name)), time: SystemTime())
        let error = await #expect(throws: BerthError.self) { _ = try await database.serverVersion() }
        #expect(error?.code == .unsupported)
        await database.close()
        try await cluster.psql("DROP DATABASE \(name)")
    }
}
