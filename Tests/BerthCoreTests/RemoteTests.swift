import Base
import BerthCore
import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct RemoteTests {
    private static let password = "s3cret-p4ssw0rd"

    private static func logins(_ port: Int, password: String = password) -> [GitLogin] {
        [
            GitLogin(
                scheme: "http",
                host: "127.0.0.1:\(port)",
                username: "x-access-token",
                password: Secret(password)
            )
        ]
    }

    @Test func `a credential clones and pushes, and stays out of everything an agent or a list can see`() async throws {
        let place = try GitFixture()
        _ = try await place.remote()
        let log = place.directory.file("requests.log")
        let server = try await ScriptedPeer(
            "git_http_server.py",
            [place.directory.file("remotes"), "x-access-token:\(Self.password)", log]
        )
        let url = "http://127.0.0.1:\(server.port)/project.git"
        let credentials = try await CredentialServer(
            logins: Self.logins(server.port),
            directory: place.directory.file("run"),
            name: "credential",
            loop: place.loop
        )
        let mirror = try place.mirror(url, socket: credentials.path)
        let checkout = try await place.maker.make(place.request(url), from: mirror)
        #expect(text(of: checkout.path + "/README.md") == "two\n")
        try place.directory.write("new\n", to: "workspaces/project/new.txt")
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Add new")
        try await mirror.push(try #require(outcome.headCommit), of: checkout.path, as: "berth/task")
        let pushed = try await place.run("rev-parse", "berth/task", in: place.directory.file("remotes/project.git"))
        #expect(pushed == outcome.headCommit)
        await credentials.close()

        #expect(text(of: log).contains("POST /project.git/git-receive-pack 200"))
        for command in place.runner.commands {
            #expect(!command.arguments.joined(separator: " ").contains(Self.password))
            #expect(!command.environment.values.contains { $0.contains(Self.password) })
        }
        let found = try await run(
            [
                "grep", "-rlF", Self.password, place.directory.file("workspaces"), place.directory.file("cache"),
                place.directory.file("home"),
            ]
        )
        #expect(found.output == "")
    }

    @Test func `submodules behind the same password come along, and one that cannot is told of`() async throws {
        let place = try GitFixture()
        _ = try await place.remote("inner.git")
        _ = try await place.remote("library.git")
        _ = try await place.remote()
        let server = try await ScriptedPeer(
            "git_http_server.py",
            [place.directory.file("remotes"), "x-access-token:\(Self.password)"]
        )
        let allowed = ["-c", "protocol.file.allow=always"]
        func add(_ url: String, _ path: String, to work: String) async throws {
            let source = place.directory.file("remotes/inner.git")
            try await check(["git"] + allowed + ["submodule", "--quiet", "add", source, path], directory: work)
            try await check(["git", "config", "-f", ".gitmodules", "submodule.\(path).url", url], directory: work)
        }
        let library = place.directory.file("remotes/library.git.work")
        try await add("../inner.git", "deep", to: library)
        try await place.commit("library\n", as: "Add deep", in: library)
        try await place.run("push", "--quiet", "origin", "main", in: library)
        let work = place.directory.file("remotes/project.git.work")
        try await add("../library.git", "lib dir/library", to: work)
        let head = try await place.run("rev-parse", "HEAD", in: library)
        try await place.run("-C", "lib dir/library", "fetch", "--quiet", library, "main", in: work)
        try await place.run("-C", "lib dir/library", "checkout", "--quiet", head, in: work)
        try await add("http://127.0.0.1:1/absent.git", "broken", to: work)
        try await add("/etc", "local", to: work)
        try await place.commit("project\n", as: "Add submodules", in: work)
        try await place.run("push", "--quiet", "origin", "main", in: work)

        let credentials = try await CredentialServer(
            logins: Self.logins(server.port),
            directory: place.directory.file("run"),
            name: "credential",
            loop: place.loop
        )
        let url = "http://127.0.0.1:\(server.port)/project.git"
        let checkout = try await place.maker.make(place.request(url), from: place.mirror(url, socket: credentials.path))
        await credentials.close()
        #expect(text(of: checkout.path + "/lib dir/library/README.md") == "library\n")
        #expect(text(of: checkout.path + "/lib dir/library/deep/README.md") == "two\n")
        let origin = try await place.run("-C", "lib dir/library", "remote", "get-url", "origin", in: checkout.path)
        #expect(origin == "http://127.0.0.1:\(server.port)/library.git")
        #expect(checkout.warnings.count == 2, "\(checkout.warnings)")
        #expect(checkout.warnings.contains { $0.contains("'broken'") && $0.contains("cannot be reached") })
        #expect(checkout.warnings.contains { $0.contains("'local'") })
        #expect(try await place.run("status", "--porcelain", in: checkout.path) == "")
    }

    @Test func `a wrong password and none at all are told apart`() async throws {
        let place = try GitFixture()
        _ = try await place.remote()
        let server = try await ScriptedPeer(
            "git_http_server.py",
            [place.directory.file("remotes"), "x-access-token:\(Self.password)"]
        )
        let url = "http://127.0.0.1:\(server.port)/project.git"
        let none = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(url), from: place.mirror(url))
        }
        #expect(none?.code == .repositoryCredentials)
        #expect(none?.message.contains("none was given") == true)
        let credentials = try await CredentialServer(
            logins: Self.logins(server.port, password: "wrong"),
            directory: place.directory.file("run"),
            name: "credential",
            loop: place.loop
        )
        let wrong = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(url), from: place.mirror(url, socket: credentials.path))
        }
        #expect(wrong?.code == .repositoryCredentials)
        #expect(wrong?.message.contains("refused") == true)
        await credentials.close()
    }

    @Test func `a repository that is not there and a host that does not answer are told apart`() async throws {
        let place = try GitFixture(connectDeadline: .seconds(2))
        let server = try await ScriptedPeer("git_http_server.py", [place.directory.file("remotes")])
        for (url, words) in [
            ("http://127.0.0.1:\(server.port)/absent.git", "there is no repository"),
            (place.directory.file("remotes/absent.git"), "there is no repository"),
            ("http://127.0.0.1:1/x.git", "cannot be reached"),
            ("http://nowhere.invalid/x.git", "cannot be reached"),
        ] {
            let error = await #expect(throws: BerthError.self) {
                try await place.maker.make(place.request(url), from: place.mirror(url))
            }
            #expect(error?.code == .repositoryUnreachable)
            #expect(error?.message.contains(words) == true, "\(url): \(error?.message ?? "")")
        }
    }

    @Test func `a host that accepts and says nothing ends at the deadline`() async throws {
        let place = try GitFixture(connectDeadline: .seconds(1))
        let silent = try ChildProcess([
            "python3", "-c",
            "import socket\ns=socket.socket();s.bind(('127.0.0.1',0));s.listen();print(s.getsockname()[1],flush=True)\ninput()",
        ])
        let port = try await silent.line(containing: "")
        let url = "http://127.0.0.1:\(port)/x.git"
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(url), from: place.mirror(url))
        }
        #expect(error?.code == .repositoryUnreachable)
        #expect(error?.message.contains("no answer within 1 s") == true)
    }

    @Test func `a push that the remote refuses says why`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let mirror = try place.mirror(url)
        let checkout = try await place.maker.make(place.request(url), from: mirror)
        try await place.commit("three\n", as: "Third", in: checkout.path)
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "x")
        let head = try #require(outcome.headCommit)
        try await place.commit("elsewhere\n", as: "Else", in: url + ".work")
        try await place.run("push", "--quiet", "origin", "HEAD:refs/heads/berth/task", in: url + ".work")
        let behind = await #expect(throws: BerthError.self) {
            try await mirror.push(head, of: checkout.path, as: "berth/task")
        }
        #expect(behind?.code == .pushRejected)
        #expect(behind?.remedy?.contains("another --branch") == true)
        let hook = try place.directory.write(
            "#!/bin/sh\necho 'no pushing here' >&2\nexit 1\n",
            to: "remotes/project.git/hooks/pre-receive"
        )
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: hook)
        let declined = await #expect(throws: BerthError.self) {
            try await mirror.push(head, of: checkout.path, as: "berth/other")
        }
        #expect(declined?.code == .pushRejected)
        #expect(declined?.message.contains("no pushing here") == true)
    }

    @Test func `the helper answers only for the host of the credential`() async throws {
        let place = try GitFixture()
        let credentials = try await CredentialServer(
            logins: Self.logins(4711),
            directory: place.directory.file("run"),
            name: "credential",
            loop: place.loop
        )
        let helper = BuiltProduct.path("berth-worker")
        for (host, answer) in [("127.0.0.1:4711", true), ("127.0.0.1:4712", false), ("example.org", false)] {
            let result = try await run(
                [
                    "sh", "-c",
                    "printf 'protocol=http\\nhost=\(host)\\n\\n' | BERTH_GIT_CREDENTIAL_SOCKET='\(credentials.path)' '\(helper)' git-credential get",
                ]
            )
            #expect(result.output.contains(Self.password) == answer)
        }
        await credentials.close()
    }
}
