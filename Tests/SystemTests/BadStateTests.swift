import Base
import FoundationEssentials
import TestSupport
import Testing

/// A data directory that is not as the server left it: told by name, and what is sound goes on.
@Suite struct BadStateTests {
    @Test func `damaged output is told by its place, and everything else is read and runs`() async throws {
        try await withServer { berth, server in
            // Three segments each.
            let flood = "import os\nfor number in range(90): os.write(1, (b'%09d\\n' % number) * 10000)"
            var ids: [String] = []
            for _ in 0..<4 {
                let run = try await berth.berth("exec", "--detach", "--", "python3", "-c", flood)
                ids.append(run.output.trimmed)
                _ = try await berth.berth("logs", "-f", run.output.trimmed)
            }
            server.signal(15)
            _ = try await server.exit(within: .seconds(30))
            func segments(_ id: String) async throws -> [Substring] {
                try await check(["sh", "-c", "find '\(berth.data)' -path '*\(id)*stdout/*' -name '0*' | sort"])
                    .split(separator: "\n")
            }
            for id in ids { #expect(try await segments(id).count == 3) }
            let (flipped, cut, gone) = (
                try await segments(ids[0])[1], try await segments(ids[1])[2], try await segments(ids[2])[1]
            )
            for damage in [
                "printf x | dd of='\(flipped)' bs=1 seek=1000 conv=notrunc status=none", "truncate -s 1000 '\(cut)'",
                "rm '\(gone)'",
            ] {
                try await check(["sh", "-c", damage])
            }

            let again = try await berth.serve()
            for id in ids.prefix(3) {
                let result = try await berth.berth("logs", id)
                #expect(result.status == 74, "\(id): \(result.errors)")
                #expect(result.errors.contains(id) && result.errors.contains("damaged"), "\(result.errors)")
                #expect(result.errors.contains(berth.data), "\(result.errors)")
                #expect(try await berth.json("show", id)["status"]?.string == "completed")
            }
            // Nothing that is left is thrown away.
            #expect(try await segments(ids[2]).count == 2)
            #expect(try await berth.berth("logs", ids[3]).output.utf8.count == 9_000_000)
            #expect(try await berth.berth("exec", "--", "echo", "fine").output == "fine\n")
            #expect(!again.hasEnded)

            // While it runs, too: the part that is gone is named.
            let last = try await segments(ids[3])[2]
            try await check(["rm", String(last)])
            let shown = try await berth.berth("logs", ids[3])
            #expect(shown.status == 74, "\(shown.errors)")
            #expect(shown.errors.contains(last), "\(shown.errors)")
            await berth.destroyEverything()
        }
    }

    @Test func `a database that is newer than the program is left as it is, and named`() async throws {
        try await withServer { berth, server in
            #expect(try await berth.berth("exec", "--", "echo", "before").output == "before\n")
            server.signal(15)
            _ = try await server.exit(within: .seconds(30))
            func sql(_ statement: String) async throws {
                try await check([
                    "python3", "-c",
                    "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as c: c.execute(sys.argv[2])",
                    berth.data + "/berth.sqlite", statement,
                ])
            }
            try await sql("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 1)")
            let refused = try await berth.berth("serve", "--listen", "127.0.0.1:0")
            #expect(refused.status == 76, "\(refused)")
            #expect(refused.errors.contains("schema 999"), "\(refused.errors)")
            #expect(refused.errors.contains("newer version"), "\(refused.errors)")
            let migrated = try await berth.berth("migrate")
            #expect(migrated.status == 76, "\(migrated)")
            try await sql("DELETE FROM schema_migrations WHERE version = 999")
            let again = try await berth.serve()
            let id = try #require(try await berth.newestExecution()["id"]?.string)
            #expect(try await berth.berth("logs", id).output == "before\n")
            #expect(!again.hasEnded)
            await berth.destroyEverything()
        }
    }
}
