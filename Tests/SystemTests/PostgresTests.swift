import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// The shipped programs on PostgreSQL.
@Suite struct PostgresTests {
    private func withPostgres(
        _ cluster: PostgresCluster,
        _ body: (Installation, ChildProcess, Secret<String>) async throws -> Void
    ) async throws {
        try await cluster.withDatabase(migrated: false) { name in
            let url = cluster.url(name)
            try await withServer(try Installation(variables: ["BERTH_DATABASE": url.reveal()])) { berth, server in
                try await body(berth, server, url)
            }
        }
    }

    @Test func `a run on PostgreSQL ends as it should, and nothing is kept in SQLite`() async throws {
        try await withPostgres(try await PostgresCluster.shared()) { berth, _, _ in
            let result = try await berth.berth("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
            #expect(result.output == "out\n")
            #expect(result.status == 7)
            let execution = try await berth.newestExecution()
            #expect(execution["status"]?.string == "failed")
            #expect(execution["exitCode"]?.integer == 7)
            #expect(!FileManager.default.fileExists(atPath: "\(berth.data)/berth.sqlite"))
            let doctor = try await berth.berth("doctor")
            #expect(doctor.output.contains("PostgreSQL 1"))
        }
    }

    @Test func `a server that waits for its database stops when it is told to`() async throws {
        let berth = try Installation(variables: ["BERTH_DATABASE": "postgres://nobody@127.0.0.1:1/nothing"])
        let server = try ChildProcess(
            [ProgramLocation.path("berth"), "serve", "--listen", "127.0.0.1:0"],
            environment: berth.environment
        )
        _ = try await server.line(containing: "waiting for the database", on: .stderr)
        server.signal(SIGTERM)
        #expect(try await server.exit(within: .seconds(30)) == 0)
        let words = String(decoding: server.standardError, as: UTF8.self)
        #expect(words.split(separator: "\n").count { $0.contains("waiting for the database") } < 5)
    }

    @Test func `PostgreSQL killed in mid-run: requests say so, the run goes on, and not a byte is lost`() async throws {
        let cluster = try await PostgresCluster(["fsync=on"])
        try await withPostgres(cluster) { berth, _, _ in
            let viewer = try berth.starting("exec", "--", "python3", "-c", CountedRun.script)
            _ = try await viewer.line(containing: "000500")
            try await cluster.kill()
            let refused = try await berth.berth("ls")
            #expect(refused.status == 69)
            #expect(refused.errors.contains("PostgreSQL is not reachable"))
            try await cluster.start()
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            let told = String(decoding: viewer.standardError, as: UTF8.self)
            let seen = try await CountedRun.digest(of: viewer.standardOutput)
            #expect(told.contains(seen), "\(viewer.standardOutput.count) bytes; \(told.suffix(300))")
            let execution = try await berth.newestExecution()
            #expect(execution["report"]?["stdout"]?["sha256"]?.string == seen)
            #expect(execution["attempt"]?.integer == 1)
        }
    }

    @Test func `a killed server comes back on PostgreSQL and the viewer misses nothing`() async throws {
        try await withPostgres(try await PostgresCluster.shared()) { berth, server, _ in
            let viewer = try berth.starting("exec", "--", "python3", "-c", CountedRun.script)
            _ = try await viewer.line(containing: "000500")
            let log = String(decoding: server.standardError, as: UTF8.self)
            let address = try #require(log.firstAddress)
            server.signal(9)
            _ = try await server.exit()
            let second = try await berth.serve(listen: address)
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            let told = String(decoding: viewer.standardError, as: UTF8.self)
            #expect(told.contains(try await CountedRun.digest(of: viewer.standardOutput)))
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    @Test func `records move from SQLite to PostgreSQL and back, row for row`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: false) { name in
            let url = cluster.url(name).reveal()
            let berth = try Installation()
            try await withServer(berth) { berth, _ in
                for number in 0..<3 { _ = try await berth.berth("exec", "--", "echo", "run \(number)") }
                let running = try await berth.berth("db", "copy", "sqlite", url)
                #expect(running.status == 73)
                #expect(running.errors.contains("another server uses"))
                await berth.destroyEverything()
            }
            let copy = try await berth.berth("db", "copy", "sqlite", url)
            #expect(copy.status == 0, "\(copy.errors)")
            #expect(copy.output.contains("copied and compared"))
            let again = try await berth.berth("db", "copy", "sqlite", url)
            #expect(again.status == 73)
            #expect(again.errors.contains("not empty"))

            let moved = try Installation(variables: ["BERTH_DATABASE": url], directory: berth.directory)
            try await withServer(moved) { moved, _ in
                let listed = try await moved.json("ls")["items"]?.array?.count
                #expect(listed == 3)
                _ = try await moved.berth("exec", "--", "echo", "on PostgreSQL")
                await moved.destroyEverything()
            }
            let back = try await berth.berth(
                "db",
                "copy",
                url,
                "sqlite:\(berth.directory.file("back/berth.sqlite"))",
                "--json"
            )
            #expect(back.status == 0, "\(back.errors)")
            let tables = try JSONDecoder().decode(JSONValue.self, from: Data(back.output.utf8)).array ?? []
            #expect(tables.first { $0["name"]?.string == "executions" }?["rows"]?.integer == 4)
        }
    }

    @Test func `migrate says what it did, and what it would do`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: false) { name in
            let berth = try Installation(variables: ["BERTH_DATABASE": cluster.url(name).reveal()])
            let missing = try await berth.berth("migrate", "--check")
            #expect(missing.status == 76)
            #expect(missing.output.contains("1 foundation"))
            let applied = try await berth.berth("migrate")
            #expect(applied.status == 0)
            #expect(applied.output.contains("1 foundation"))
            let current = try await berth.berth("migrate", "--check")
            #expect(current.status == 0)
            #expect(current.output.contains("which is this version's"))

            try await cluster.psql(
                "INSERT INTO schema_migrations VALUES (999, 'future', 'x', 0)",
                database: name
            )
            let newer = try await berth.berth("serve", "--listen", "127.0.0.1:0")
            #expect(newer.status == 76)
            #expect(newer.errors.contains("schema 999"))
        }
    }

    @Test func `a password is shown nowhere`() async throws {
        let url = "postgres://berth:hunter2@127.0.0.1:1/berth?password=hunter2"
        let berth = try Installation(variables: ["DATABASE_URL": url])
        for arguments in [
            ["config"], ["doctor"], ["serve"], ["migrate"], ["config", "--json"], ["migrate", "--json"],
        ] {
            let result = try await berth.run(arguments)
            #expect(!result.output.contains("hunter2"), "\(arguments)")
            #expect(!result.errors.contains("hunter2"), "\(arguments)")
        }
    }

    @Test func `servers on one database need one deployment key`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await withPostgres(cluster) { berth, _, url in
            let variables = ["BERTH_DATABASE": url.reveal()]
            let keyless = try await Installation(variables: variables).berth("serve", "--listen", "127.0.0.1:0")
            #expect(keyless.status != 0)
            #expect(keyless.errors.contains("deployment key"))
            let wrong = ["BERTH_MASTER_KEY": String(repeating: "ab", count: 32)]
            let other = try await Installation(variables: variables.merging(wrong) { $1 })
                .berth("serve", "--listen", "127.0.0.1:0")
            #expect(other.status != 0)
            #expect(other.errors.contains("another deployment key"))
        }
    }
}
