import Base
import FoundationEssentials
import TestSupport
import Testing

/// Files, git and processes of a workspace through the shipped programs, in a sandbox and without one.
@Suite struct WorkspaceFileTests {
    /// A repository of this machine, and a workspace of it in the environment `build`.
    private func workspace(_ berth: Installation, provider: String) async throws -> String {
        let repository = berth.directory.file("repo")
        try await check([
            "sh", "-ec",
            """
            mkdir "$1"; cd "$1"; git init -q -b main .; git config user.email a@example.org; git config user.name a
            mkdir src; echo 'hello world' >src/a.txt; echo ignored >.gitignore; git add -A; git commit -qm one
            """, "sh", repository,
        ])
        _ = try await berth.json("env", "create", "build", "--provider", provider)
        let run = try await berth.berth(
            "run",
            "-e",
            "build",
            "--agent",
            "command",
            "--repo",
            repository,
            "--branch",
            "work",
            "ln -s /etc/passwd evil; ln -s src/a.txt good"
        )
        #expect(run.status == 0, "\(run.errors)")
        return try #require(try await berth.json("ws", "ls")["items"]?.array?.first?["id"]?.string)
    }

    @Test(arguments: ["local", "host"])
    func `files are read, written, copied both ways and searched, and nothing leads out`(provider: String) async throws
    {
        try await withServer { berth, _ in
            let id = try await workspace(berth, provider: provider)
            let listed = try await berth.json("file", "ls", id)
            let names = listed["items"]?.array?.compactMap { $0["path"]?.string } ?? []
            #expect(names == [".git", ".gitignore", "evil", "good", "src"])
            #expect(try await berth.berth("file", "cat", id, "good").output == "hello world\n")
            for path in ["evil", "../x", "/etc/passwd"] {
                let refused = try await berth.berth("file", "cat", id, path)
                #expect(refused.status == 64, "\(refused.output)")
                #expect(refused.errors.contains("leads out of the workspace"), "\(refused.errors)")
            }
            let written = try await berth.berth("file", "put", "-p", id, "new/dir/note.txt", input: "noted\n")
            #expect(written.status == 0, "\(written.errors)")
            let tag = try #require(try await berth.json("file", "stat", id, "new/dir/note.txt")["etag"]?.string)
            let second = try await berth.berth("file", "put", id, "new/dir/note.txt", "--if-match", tag, input: "2\n")
            #expect(second.status == 0, "\(second.errors)")
            let stale = try await berth.berth("file", "put", id, "new/dir/note.txt", "--if-match", tag, input: "3\n")
            #expect(stale.status == 73, "\(stale.errors)")
            #expect(try await berth.berth("file", "cat", id, "new/dir/note.txt").output == "2\n")
            let found = try await berth.berth("file", "find", id, "hello", "--name", "*.txt")
            #expect(found.output == "src/a.txt:1: hello world\n", "\(found.errors)")

            let (tree, back) = (berth.directory.file("tree"), berth.directory.file("back"))
            try await check([
                "sh", "-ec",
                "mkdir -p \"$1/deep/er\"; cd \"$1\"; head -c 20000000 /dev/urandom >big; ln -s big link; echo x >deep/er/x; "
                    + "chmod 755 deep/er/x; for i in $(seq 500); do echo $i >deep/$i; done",
                "sh", tree,
            ])
            let sent = try await berth.berth("cp", tree, "\(id):data")
            #expect(sent.status == 0, "\(sent.errors)")
            let fetched = try await berth.berth("cp", "\(id):data", back)
            #expect(fetched.status == 0, "\(fetched.errors)")
            let compared = try await run(["diff", "-r", "--no-dereference", tree, back])
            #expect(compared.status == 0, "\(compared.output)")
            let one = try await berth.berth("cp", "\(id):data/big", berth.directory.file("one"))
            #expect(one.status == 0, "\(one.errors)")
            try await check(["cmp", berth.directory.file("one"), "\(tree)/big"])
            // Who it belongs to inside: the user, not the worker.
            let owner = try await berth.berth("exec", "-e", "build", "--", "sh", "-c", "id -u")
            let files = try await berth.berth(
                "exec",
                "-e",
                "build",
                "--",
                "sh",
                "-c",
                "find / -path '*/data/deep/er/x' -printf '%U\\n' 2>/dev/null"
            )
            #expect(files.output.split(separator: "\n").first == owner.output.split(separator: "\n").first)
        }
    }

    @Test func `changes are followed, git and processes are seen`() async throws {
        try await withServer { berth, _ in
            let id = try await workspace(berth, provider: "local")
            let watch = try berth.starting("file", "watch", id, "--json")
            _ = try await watch.line(containing: "watching", on: .stderr)
            _ = try await berth.berth("file", "put", id, "src/new.txt", input: "new\n")
            let line = try await watch.line(containing: "src/new.txt")
            #expect(line.contains("created"))
            watch.signal(2)
            _ = try await watch.exit(within: .seconds(20))

            let status = try await berth.json("git", "status", id)
            #expect(status["branch"]?.string == "work")
            let paths = status["changes"]?.array?.compactMap { $0["path"]?.string } ?? []
            #expect(paths.contains("src/new.txt"))
            let commit = try await berth.berth("git", "commit", id, "--all", "-m", "Add new")
            #expect(commit.status == 0, "\(commit.errors)")
            #expect(try await berth.berth("git", "log", id).output.contains("Add new"))
            let diff = try await berth.berth("git", "diff", id, "--base", "main", "--stat")
            #expect(diff.output.contains("src/new.txt"), "\(diff.errors)")
            let pushed = try await berth.berth("git", "push", id)
            #expect(pushed.status == 69, "\(pushed.errors)")
            #expect(pushed.errors.contains("berth fetch"))

            let terminal = try await berth.berth(
                "terminal",
                "open",
                "build",
                "-d",
                "--name",
                "nap",
                "--",
                "sleep",
                "600"
            )
            #expect(terminal.status == 0, "\(terminal.errors)")
            let all = try await berth.json("ps", "build")["items"]?.array ?? []
            let sleeping = try #require(all.first { $0["command"]?.string == "sleep 600" })
            #expect(sleeping["owner"]?.string?.hasPrefix("term_") == true)
            #expect(!all.contains { $0["command"]?.string?.contains("berth-hold") == true })
            let pid = try #require(sleeping["pid"]?.integer)
            let killed = try await berth.berth("kill", "build", "\(pid)")
            #expect(killed.status == 0, "\(killed.errors)")
            let one = try await berth.berth("kill", "build", "1")
            #expect(one.status == 66, "\(one.errors)")
            _ = try await berth.berth("terminal", "attach", "build", "nap", "--read-only")
            #expect(try await berth.berth("terminal", "ls", "build").output.contains("signal 15"))
            let cast = try await berth.berth("terminal", "export", "build", "nap")
            #expect(cast.output.hasPrefix(#"{"version":2,"#), "\(cast.errors)")
        }
    }

    @Test func `somebody who joins wakes the environment and is seen until they go`() async throws {
        try await withServer { berth, server in
            let id = try await workspace(berth, provider: "local")
            let stopped = try await berth.berth("env", "stop", "build")
            #expect(stopped.status == 0, "\(stopped.errors)")
            #expect(try await berth.json("ws", "who", id)["items"]?.array?.isEmpty == true)
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            let key = try String(contentsOfFile: berth.data + "/api-key", encoding: .utf8).trimmed
            func call(_ method: String, _ path: String, _ body: String) async throws -> JSONValue {
                let text = try await check([
                    "curl", "-s", "-X", method, "-H", "Authorization: Bearer \(key)", "-H",
                    "Content-Type: application/json", "-d", body, "http://\(address)\(path)",
                ])
                return try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            }
            let path = "/v1/workspaces/\(id)/presences"
            let joined = try await call("POST", path, #"{"clientType":"web"}"#)
            let presence = try #require(joined["id"]?.string, "\(joined)")
            #expect(try await berth.json("env", "show", "build")["status"]?.string == "running")
            let who = try await berth.berth("ws", "who", id)
            #expect(who.output.contains("web"), "\(who.output)")
            let beat = try await call("POST", "\(path)/\(presence)/heartbeat", "")
            #expect(beat["id"]?.string == presence)
            // The documents' own names see the same rows.
            let documented = try await call("POST", "/api/trpc/cloudWorkspace.join", #"{"workspaceId":"\#(id)"}"#)
            let session = try #require(documented["result"]?["data"]?["id"]?.string, "\(documented)")
            #expect(documented["result"]?["data"]?["clientType"]?.string == "desktop")
            #expect(try await berth.json("ws", "who", id)["items"]?.array?.count == 2)
            _ = try await call("POST", "/api/trpc/cloudWorkspace.leave", #"{"sessionId":"\#(session)"}"#)
            _ = try await call("DELETE", "\(path)/\(presence)", "")
            #expect(try await berth.json("ws", "who", id)["items"]?.array?.isEmpty == true)
            let again = try await call("POST", "\(path)/\(presence)/heartbeat", "")
            #expect(again["code"]?.string == "gone", "\(again)")
            let events = try await berth.berth("changes", "--type", "presence", "--json")
            #expect(events.output.split(separator: "presence.joined").count == 3, "\(events.output)")
        }
    }

    @Test func `a file above the limit is refused with the limit, and the old one stays`() async throws {
        try await withServer(flags: ["--set", "maxUploadBytes=67108864"]) { berth, _ in
            let id = try await workspace(berth, provider: "host")
            let file = berth.directory.file("large")
            try await check(["truncate", "-s", "10G", file])
            let refused = try await berth.berth("cp", file, "\(id):src/a.txt")
            #expect(refused.status == 64, "\(refused.errors)")
            #expect(refused.errors.contains("6710886"), "\(refused.errors)")
            #expect(try await berth.berth("file", "cat", id, "src/a.txt").output == "hello world\n")
        }
    }
}
