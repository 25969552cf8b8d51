import Base
import FoundationEssentials
import TestSupport
import Testing

/// The stock OpenSSH client, scp, sftp, rsync and git, through `berth config-ssh`: with the environment's own server, as
/// its user, without a question.
@Suite struct SSHTests {
    @Test(arguments: ["local", "host", "docker"])
    func `OpenSSH's programs reach an environment by its name`(provider: String) async throws {
        let home = try TemporaryDirectory("ssh-home")
        var variables = ["XDG_CONFIG_HOME": home.path]
        if provider == "docker" { variables["BERTH_DOCKER_SOCKET"] = try await DockerEngine.shared().socket }
        let berth = try Installation(variables: variables)
        try await withServer(berth) { berth, _ in
            _ = try await berth.json("env", "create", "build", "--provider", provider)
            let config = home.file("config")
            try Data("Host other\n    User somebody\n".utf8).write(to: URL(filePath: config))
            let told = try await berth.berth("config-ssh", "--file", config)
            #expect(told.output == "ssh build.berth\n", "\(told.errors)")
            let place = "/tmp/\(home.path.split(separator: "/").last ?? "x")"

            func client(_ arguments: String...) async throws -> CommandResult {
                try await run(
                    [arguments[0], "-F", config, "-o", "BatchMode=yes"] + arguments.dropFirst(),
                    environment: berth.environment
                )
            }
            let user = try await client("ssh", "build.berth", "id -un; mkdir -p \(place); exit 7")
            #expect(user.status == 7, "\(user.errors)")
            #expect(user.output.trimmed == (provider != "host" ? "agent" : try await check(["id", "-un"])))
            let terminal = try await client("ssh", "-tt", "build.berth", "tty")
            #expect(terminal.output.hasPrefix("/dev/pts/"), "\(terminal.output) \(terminal.errors)")

            let file = home.file("file")
            try await check(["sh", "-c", "head -c 20000000 /dev/urandom > \(file)"])
            let sum = try await check(["sha256sum", file]).prefix(64)
            let copied = try await client("scp", "-q", file, "build.berth:\(place)/copy")
            #expect(copied.status == 0, "\(copied.errors)")
            #expect(try await client("ssh", "build.berth", "sha256sum \(place)/copy").output.hasPrefix(sum))
            let batch = home.file("batch")
            try Data("get \(place)/copy \(home.file("back"))\n".utf8).write(to: URL(filePath: batch))
            let fetched = try await client("sftp", "-q", "-b", batch, "build.berth")
            #expect(fetched.status == 0, "\(fetched.errors)")
            #expect(try await check(["sha256sum", home.file("back")]).hasPrefix(sum))

            try await check([
                "sh", "-c",
                "mkdir -p \(home.path)/tree/a/b && for i in $(seq 200); do echo $i >\(home.path)/tree/a/b/$i; done",
            ])
            let shell = "ssh -F \(config) -o BatchMode=yes"
            for (from, to) in [
                ("\(home.path)/tree/", "build.berth:\(place)/tree/"),
                ("build.berth:\(place)/tree/", home.file("tree2/")),
            ] {
                let moved = try await run(["rsync", "-a", "-e", shell, from, to], environment: berth.environment)
                #expect(moved.status == 0, "\(moved.errors)")
            }
            try await check(["diff", "-r", home.file("tree"), home.file("tree2")])

            let made = try await client(
                "ssh",
                "build.berth",
                "git init -q \(place)/r && cd \(place)/r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one"
            )
            #expect(made.status == 0, "\(made.errors)")
            let cloned = try await run(
                ["git", "clone", "-q", "build.berth:\(place)/r", home.file("clone")],
                environment: berth.environment.merging(["GIT_SSH_COMMAND": shell]) { $1 }
            )
            #expect(cloned.status == 0, "\(cloned.errors)")

            let removed = try await berth.berth("config-ssh", "--remove", "--file", config)
            #expect(removed.status == 0)
            #expect(try String(contentsOfFile: config, encoding: .utf8) == "Host other\n    User somebody\n")
            _ = try await client("ssh", "build.berth", "rm -rf \(place)")
        }
    }

    @Test(arguments: ["local", "docker"])
    func `ports go through and an agent is forwarded`(provider: String) async throws {
        let home = try TemporaryDirectory("ssh-home")
        var variables = ["XDG_CONFIG_HOME": home.path]
        if provider == "docker" { variables["BERTH_DOCKER_SOCKET"] = try await DockerEngine.shared().socket }
        let berth = try Installation(variables: variables)
        try await withServer(berth) { berth, _ in
            _ = try await berth.json("env", "create", "build", "--provider", provider)
            let served = try berth.starting(
                "ssh",
                "build",
                "cd $(mktemp -d) && echo inside >page && exec python3 -c \"$(cat)\" 8123"
            )
            served.send(try String(contentsOfFile: ScriptedPeer.path("small_web_server.py"), encoding: .utf8))
            served.closeInput()
            _ = try await served.line(containing: "there")
            let socket = home.file("page.sock")
            let forward = try berth.starting("ssh", "build", "--", "-N", "-L", "\(socket):127.0.0.1:8123", "-v")
            _ = try await forward.line(containing: "Local forwarding listening", on: .stderr)
            #expect(try await check(["curl", "-s", "--unix-socket", socket, "http://x/page"]) == "inside")
            forward.signal(15)
            _ = try await forward.exit()

            let port = try await check([
                "python3", "-c", "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])",
            ])
            let proxy = try berth.starting("ssh", "build", "--", "-N", "-D", "127.0.0.1:\(port)", "-v")
            _ = try await proxy.line(containing: "Local connections to 127.0.0.1:\(port) forwarded", on: .stderr)
            _ = try await proxy.line(containing: "Entering interactive session", on: .stderr)
            let page = ["--socks5-hostname", "127.0.0.1:\(port)", "http://localhost:8123/page"]
            #expect(try await check(["curl", "-sS", "--retry", "5", "--retry-connrefused"] + page) == "inside")
            proxy.signal(15)
            _ = try await proxy.exit()
            served.signal(15)
            _ = try await served.exit()

            let key = home.file("agent-key")
            try await check(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
            let keys = try await run(
                [
                    "ssh-agent", "sh", "-c",
                    "ssh-add -q \(key) && exec \(ProgramLocation.path("berth")) ssh build -- -A ssh-add -l",
                ],
                environment: berth.environment
            )
            #expect(keys.output.contains("ED25519"), "\(keys.errors)")
        }
    }

    @Test func `what cannot be connected is refused in words`() async throws {
        let home = try TemporaryDirectory("ssh-home")
        let berth = try Installation(variables: ["XDG_CONFIG_HOME": home.path])
        try await withServer(berth) { berth, _ in
            let unknown = try await berth.berth("ssh", "nowhere")
            #expect(unknown.status == 66)
            #expect(unknown.errors.contains("nowhere"))
            let config = home.file("config")
            try Data("# >>> berth: made by 'berth config-ssh', taken out by 'berth config-ssh --remove' >>>\n".utf8)
                .write(to: URL(filePath: config))
            let broken = try await berth.berth("config-ssh", "--file", config)
            #expect(broken.status == 73)
            #expect(broken.errors.contains("by hand"))
        }
    }
}
