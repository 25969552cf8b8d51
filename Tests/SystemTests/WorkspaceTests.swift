import Base
import FoundationEssentials
import TestSupport
import Testing

/// Workspaces through the shipped programs: made, set up, run in, archived and brought back.
@Suite struct WorkspaceTests {
    /// A bare remote with one commit that holds `files`.
    private static func remote(_ berth: Installation, _ files: [String: String]) async throws -> String {
        let work = berth.directory.file("work")
        try await check(["git", "init", "-q", "-b", "main", work])
        for (name, text) in files.sorted(by: { $0.key < $1.key }) {
            try berth.directory.write(text, to: "work/\(name)")
        }
        try await commit("First", work)
        let bare = berth.directory.file("remote.git")
        try await check(["git", "clone", "-q", "--bare", work, bare])
        try await check(["git", "-C", work, "remote", "add", "origin", bare])
        return bare
    }

    private static func commit(_ subject: String, _ path: String) async throws {
        try await check(["git", "-C", path, "add", "--all"])
        let author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        try await check(["git", "-C", path] + author + ["commit", "-q", "-m", subject])
    }

    private static let configuration = """
        {
            scripts: {
                setup: 'echo "setting up for $STAGE with $KEY"; echo done > setup.log',
                run: "python3 -m http.server {port} --bind 127.0.0.1",
                teardown: 'echo "$KEY" > "$HOME/torn-down"',
            },
            environment: { STAGE: "dev" },
        }
        """

    @Test func `a workspace lives: set up, run in, served, archived and back`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "here", "--provider", "host")
            let url = try await Self.remote(berth, ["berth.json": Self.configuration, ".gitignore": "setup.log\n"])
            let made = try await berth.berth(
                "ws",
                "create",
                url,
                "-e",
                "here",
                "--name",
                "login",
                "--branch",
                "main",
                "--env",
                "KEY=s3cret-value"
            )
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.output.contains("setting up for dev with s3cret-value"), "\(made.output)")
            let shown = try await berth.json("ws", "show", "login")
            #expect(shown["status"]?.string == "READY")
            #expect(shown["creationSource"]?.string == "RESUME_BRANCH")
            #expect(shown["initCompletedAt"] != nil)
            #expect(try await berth.berth("ws", "log", "login").output.contains("setting up for dev"))

            // Variables: names alone are shown; programs have the values.
            #expect(try await berth.berth("ws", "env", "set", "login", "MORE=two").output == "KEY\nMORE\n")
            let listed = try await berth.berth("ws", "env", "ls", "login", "--json")
            #expect(!listed.output.contains("s3cret") && !listed.output.contains("two"))
            let opened = try await TestSupport.run(
                [ProgramLocation.path("berth"), "terminal", "open", "here", "-w", "login", "--", "/bin/sh"],
                environment: berth.environment,
                input: "echo \"$KEY $MORE $STAGE\"; cat setup.log; exit\n"
            )
            #expect(opened.output.contains("s3cret-value two dev"), "\(opened.output) \(opened.errors)")

            // The run script's port is found, and reached.
            let started = try await berth.json("ws", "run", "login")
            #expect(started["state"]?.string == "RUNNING", "\(started)")
            #expect(started["ports"]?.array?.count == 1)
            let again = try await berth.berth("ws", "run", "login")
            #expect(again.errors.contains("runs already"))
            let forward = try berth.starting("ws", "open", "login")
            let line = try await forward.line(containing: "http://127.0.0.1:")
            let address = try #require(line.split(separator: " ").first.map(String.init))
            #expect(try await check(["curl", "-s", "\(address)/berth.json"]).contains("teardown"))
            forward.signal(2)
            _ = try await forward.exit()
            #expect(try await berth.json("ws", "stop", "login")["state"]?.string == "IDLE")

            let directory = try #require(shown["directory"]?.string)
            let path = try await Self.path(berth, "login")
            #expect(path.hasSuffix(directory))

            // Archive: first the list of what would be lost.
            try Data("draft\n".utf8).write(to: URL(filePath: path + "/draft.txt"))
            let refused = try await berth.berth("ws", "archive", "login")
            #expect(refused.status == 73 && refused.errors.contains("untracked: draft.txt"), "\(refused.errors)")
            #expect(FileManager.default.fileExists(atPath: path))
            let archived = try await berth.berth("ws", "archive", "login", "--commit")
            #expect(archived.status == 0, "\(archived.errors)")
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(try await berth.json("ws", "ls")["items"]?.array?.isEmpty == true)
            #expect(try await berth.berth("ws", "ls", "--archived").output.contains("ARCHIVED"))
            let back = try await berth.berth("ws", "unarchive", "login")
            #expect(back.status == 0, "\(back.errors)")
            #expect(try String(contentsOfFile: path + "/draft.txt", encoding: .utf8) == "draft\n")
            #expect(try await berth.berth("ws", "archive", "login", "--force").status == 0)
            #expect(try await berth.berth("ws", "delete", "login").status == 0)
            #expect(try await berth.berth("ws", "show", "login").status == 66)
        }
    }

    private static func path(_ berth: Installation, _ name: String) async throws -> String {
        let link = try await berth.berth("ws", "open", name, "--editor", "vscode")
        let place = try #require(link.output.firstRange(of: ".berth"))
        #expect(link.output.hasPrefix("vscode://vscode-remote/ssh-remote+here.berth/"))
        return String(link.output[place.upperBound...]).trimmed
    }

    @Test func `a set-up that fails says why, and is tried again`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "here", "--provider", "host")
            let broken = #"{ scripts: { setup: 'echo to be mended >&2; test -e "$HOME/mended"' } }"#
            let url = try await Self.remote(berth, ["berth.json": broken])
            let made = try await berth.berth("ws", "create", url, "-e", "here", "--name", "app")
            #expect(made.status != 0)
            #expect(made.errors.contains("to be mended"), "\(made.errors)")
            let failed = try await berth.json("ws", "show", "app")
            #expect(failed["status"]?.string == "FAILED")
            #expect(failed["errorMessage"] != nil)
            #expect(
                try await berth.berth("ws", "create", url, "-e", "here", "--name", "app").errors.contains("already")
            )
            let again = try await berth.berth("ws", "retry", "app")
            #expect(again.status != 0)
            #expect(try await berth.json("ws", "show", "app")["initRetryCount"]?.integer == 1)
            _ = try await berth.berth("exec", "-e", "here", "--", "sh", "-c", "touch \"$HOME/mended\"")
            let mended = try await berth.berth("ws", "retry", "app")
            #expect(mended.status == 0, "\(mended.errors)")
            #expect(try await berth.json("ws", "show", "app")["status"]?.string == "READY")

            // A run in it, with its variables.
            _ = try await berth.berth("ws", "env", "set", "app", "KEY=value")
            let run = try await berth.berth("run", "-w", "app", "--agent", "command", "echo $KEY $BERTH_WORKSPACE_ID")
            #expect(run.status == 0 && run.output.hasPrefix("value ws_"), "\(run.output) \(run.errors)")
        }
    }

    @Test func `wrong wishes are refused with the way out`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "here", "--provider", "host")
            let url = try await Self.remote(berth, ["berth.json": "{\n  scripts: {\n    setpu: 'x' }\n}"])
            let broken = try await berth.berth("ws", "create", url, "-e", "here", "--name", "app", "--branch", "main")
            #expect(broken.status != 0)
            let told = try await berth.json("ws", "show", "app")
            #expect(told["errorMessage"]?.string?.contains("line 3") == true, "\(told)")
            #expect(told["errorMessage"]?.string?.contains("scripts.setpu") == true)
            for (arguments, part) in [
                (["ws", "create"], "nothing to check out"),
                (["ws", "create", "--issue", "https://github.com/a/b/pull/1"], "pull request"),
                (["ws", "create", url, "--name", "Bad Name"], "no name for a workspace"),
                (["ws", "adopt", berth.directory.path], "no git repository"),
                (["ws", "adopt", url], "no working tree"),
                (["ws", "create", "--from", "nobody"], "there is no workspace 'nobody'"),
                (["ws", "show", "nobody"], "berth ws ls"),
            ] {
                let result = try await berth.run(arguments)
                #expect(result.status != 0)
                #expect(result.errors.contains(part), "\(arguments): \(result.errors)")
            }
        }
    }

    @Test func `a working tree is adopted whole: in place on the host, as a copy in a sandbox`() async throws {
        try await withServer { berth, _ in
            let url = try await Self.remote(berth, ["a.txt": "one\n", "b.txt": "one\n", "c.txt": "one\n"])
            let work = berth.directory.file("work")
            let author = ["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@localhost"]
            try berth.directory.write("stashed\n", to: "work/a.txt")
            try await check(author + ["stash", "-q"])
            try berth.directory.write("staged\n", to: "work/a.txt")
            try await check(["git", "-C", work, "add", "a.txt"])
            try berth.directory.write("staged and changed\n", to: "work/a.txt")
            try berth.directory.write("changed\n", to: "work/b.txt")
            try await check(["rm", "\(work)/c.txt"])
            try berth.directory.write("new\n", to: "work/new dir/ünü.txt")
            try await check(["git", "-C", work, "branch", "aside"])
            let look = ["sh", "-c", "find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum"]
            let before = try await check(look, directory: work)
            let status = try await check(["git", "-C", work, "status", "--porcelain"])

            _ = try await berth.json("env", "create", "here", "--provider", "host")
            let here = try await berth.berth("ws", "adopt", work, "-e", "here", "--name", "here")
            #expect(here.status == 0, "\(here.errors)")
            #expect(try await berth.json("ws", "show", "here")["directory"]?.string == work)
            let twice = try await berth.berth("ws", "adopt", work, "-e", "here", "--name", "twice")
            #expect(twice.errors.contains("is the workspace 'here' already"), "\(twice.errors)")
            #expect(try await berth.berth("ws", "archive", "here").status == 0)
            #expect(try await check(look, directory: work) == before)

            let copy = try await berth.berth("ws", "adopt", work, "--name", "copy", "--provider", "local")
            #expect(copy.status == 0, "\(copy.errors)")
            #expect(try await check(look, directory: work) == before)
            let seen = try await berth.berth(
                "run",
                "-w",
                "copy",
                "--agent",
                "command",
                "git status --porcelain; git show :a.txt; cat a.txt b.txt 'new dir/ünü.txt'; "
                    + "git show stash@{0}:a.txt; git branch --format='%(refname:short)'; git config remote.origin.url"
            )
            #expect(
                seen.output.trimmed
                    == status + "\nstaged\nstaged and changed\nchanged\nnew\nstashed\naside\nmain\n"
                    + (try await berth.json("repo", "ls")["items"]?.array?.last?["url"]?.string ?? ""),
                "\(seen.output) \(seen.errors)"
            )
            _ = url
        }
    }

    @Test func `an issue's text is read where a token allows it`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "here", "--provider", "host")
            let url = try await Self.remote(berth, ["a.txt": "one\n"])
            let script = """
                import http.server, json
                class Handler(http.server.BaseHTTPRequestHandler):
                    def do_GET(self):
                        good = self.headers.get('Authorization') == 'Bearer good' and self.path == '/repos/me/app/issues/7'
                        body = json.dumps({'title': 'Fix the login', 'body': 'It breaks.'}).encode()
                        self.send_response(200 if good else 401)
                        self.send_header('Content-Length', str(len(body)))
                        self.end_headers()
                        self.wfile.write(body)
                    def log_message(self, *a): pass
                server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
                print('port', server.server_port, flush=True)
                server.serve_forever()
                """
            let endpoint = try ChildProcess(["python3", "-c", script], environment: ChildProcess.plainEnvironment)
            defer { endpoint.signal(15) }
            let port = try #require(try await endpoint.line(containing: "port ").split(separator: " ").last)
            let variables = ["GITHUB_API_URL": "http://127.0.0.1:\(port)", "GH_TOKEN": "good"]
            let made = try await berth.berth(
                "ws",
                "create",
                url,
                "-e",
                "here",
                "--issue",
                "https://github.com/me/app/issues/7",
                variables: variables
            )
            #expect(made.status == 0, "\(made.errors)")
            let shown = try await berth.json("ws", "show", "fix-the-login")
            #expect(shown["branch"]?.string == "berth/issue-7-fix-the-login")
            #expect(shown["issueNumber"]?.integer == 7)
            #expect(shown["description"]?.string == "Fix the login\n\nIt breaks.")
            let child = try await berth.berth("ws", "create", "--from", "fix-the-login", "--name", "child")
            #expect(child.status == 0, "\(child.errors)")
            #expect(try await berth.json("ws", "show", "child")["creationSource"]?.string == "CHILD_WORKSPACE")

            let plain = try await berth.berth(
                "ws",
                "create",
                url,
                "-e",
                "here",
                "--issue",
                "https://github.com/me/app/issues/8",
                variables: variables.merging(["GH_TOKEN": "bad"]) { $1 }
            )
            #expect(plain.status == 0 && plain.errors.contains("was not read"), "\(plain.errors)")
        }
    }
}
