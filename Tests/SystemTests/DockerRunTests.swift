import Base
import FoundationEssentials
import TestSupport
import Testing

/// Environments in containers, on a real Engine.
@Suite struct DockerRunTests {
    private static func place(_ variables: [String: String] = [:]) async throws -> Installation {
        let socket = try await DockerEngine.shared().socket
        return try Installation(variables: ["BERTH_DOCKER_SOCKET": socket].merging(variables) { $1 })
    }

    @Test func `a command runs in a container, without the host, its sockets and its network`() async throws {
        try await withServer(Self.place()) { berth, _ in
            let canary = try berth.directory.write("canary", to: "host/canary")
            let other = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let allowed = try await ScriptedPeer("hello_server.py", ["127.0.0.1"])
            let addresses = try await check(["hostname", "-I"]).split(separator: " ").filter { !$0.contains(":") }
            let urls =
                (["127.0.0.1", "198.18.0.1"] + addresses).map { "http://\($0):\(other.port)/" }
                + ["http://169.254.169.254/"]
            let script = """
                curl -s -m 5 http://127.0.0.1:\(allowed.port)/; echo
                cat '\(canary)' '\(berth.data)/api-key' /var/run/docker.sock /run/berth/token 2>/dev/null
                ls -A /var/lib/berth /run/berth 2>/dev/null
                for url in "$@"; do curl -s -m 1 -o /dev/null "$url" && echo "reached $url"; done
                cat /proc/1/comm; id -u; awk '/^CapEff|^CapBnd|^NoNewPrivs|^Seccomp:/ { print $2 }' /proc/self/status
                """
            let result = try await berth.run(
                ["exec", "-e", "new", "--provider", "docker", "--host-port", "\(allowed.port)"]
                    + ["--", "bash", "-c", script, "bash"] + urls
            )
            #expect(result.status == 0, "\(result.errors)")
            let none = "0000000000000000"
            #expect(result.output == "hello\nberth-hold\n1000\n\(none)\n\(none)\n1\n2\n", "\(result.output)")
        }
    }

    @Test func `what a run changed anywhere outlives stop and start, and nothing outlives destroy`() async throws {
        let engine = try await DockerEngine.shared()
        try await withServer(Self.place()) { berth, _ in
            #expect(try await berth.berth("env", "create", "box", "--provider", "docker").status == 0)
            let write = "echo mine >$HOME/kept; echo here >/workspace/kept; cat $HOME/kept"
            #expect(try await berth.berth("exec", "-e", "box", "--", "sh", "-c", write).output == "mine\n")
            #expect(try await berth.berth("env", "stop", "box").status == 0)
            #expect(try await berth.berth("env", "start", "box").status == 0)
            let read = "cat $HOME/kept /workspace/kept"
            #expect(try await berth.berth("exec", "-e", "box", "--", "sh", "-c", read).output == "mine\nhere\n")
            let id = try #require(try await berth.json("env", "show", "box")["id"]?.string)
            #expect(try await engine.containers(label: "berth.environment=\(id)").count == 1)
            #expect(try await berth.berth("env", "destroy", "box").status == 0)
            #expect(try await engine.containers(label: "berth.environment=\(id)").isEmpty)
        }
    }

    @Test func `a memory hog in a container is killed, and its record says so`() async throws {
        try await withServer(Self.place()) { berth, _ in
            let made = try await berth.berth("env", "create", "box", "--provider", "docker", "--memory", "128M")
            #expect(made.status == 0, "\(made.errors)")
            let hog = "print(len(bytearray(1 << 30)))"
            let result = try await berth.berth("exec", "-e", "box", "--", "python3", "-c", hog)
            #expect(result.status == 137)
            #expect(result.errors.contains("memory"), "\(result.errors)")
            #expect(try await berth.berth("exec", "-e", "box", "--", "echo", "on").output == "on\n")
        }
    }

    @Test func `an image of busybox alone, without a user for agents, gets one and Berth's tools`() async throws {
        let folder = try TemporaryDirectory("busybox")
        let root = folder.file("root")
        try await BusyboxRoot.make(root, owner: 0, firstID: 1)
        try await check(["sed", "-i", "/^agent:/d", "\(root)/etc/passwd", "\(root)/etc/group"])
        try await DockerEngine.shared().importImage("test/busybox:1", from: root)
        try await withServer(Self.place(["XDG_CONFIG_HOME": folder.file("config")])) { berth, _ in
            let script = """
                id -u; id -un; cd && git init -q -b main a && cd a && echo x >x && git add x
                git -c user.name=t -c user.email=t@localhost commit -qm one && git clone -q ~/a ~/b && cat ~/b/x
                """
            let result = try await berth.run(
                ["exec", "-e", "new", "--provider", "docker", "--image", "test/busybox:1", "--", "sh", "-c", script]
            )
            #expect(result.output == "1000\nagent\nx\n", "\(result.errors)")
            let made = try await berth.berth(
                "env",
                "create",
                "bare",
                "--provider",
                "docker",
                "--image",
                "test/busybox:1"
            )
            #expect(made.status == 0, "\(made.errors)")
            #expect(try await berth.berth("ssh", "bare", "id -un").output == "agent\n")
        }
    }

    @Test func `an image is imported, made into an environment, kept while that lives and then removed`() async throws {
        let folder = try TemporaryDirectory("images")
        let root = folder.file("root")
        try await BusyboxRoot.make(root, owner: 0, firstID: 1)
        let archive = folder.file("root.tar")
        try await check(["tar", "cf", archive, "-C", root, "."])
        try await withServer(Self.place()) { berth, _ in
            let name = "test/imported:1"
            let made = try await berth.berth("images", "import", name, archive)
            #expect(made.status == 0, "\(made.errors)")
            let listed = try await berth.json("images", "ls")["items"]?.array ?? []
            let image = listed.first { $0["name"]?.string == name }
            #expect(image?["isAvailable"]?.bool == true && (image?["bytes"]?.integer ?? 0) > 0, "\(listed)")
            #expect(listed.contains { $0["provider"]?.string == "local" }, "\(listed)")
            let box = try await berth.berth("env", "create", "box", "--provider", "docker", "--image", name)
            #expect(box.status == 0, "\(box.errors)")
            let refused = try await berth.berth("images", "rm", name)
            #expect(refused.status != 0)
            #expect(refused.errors.contains("is in use"), "\(refused.errors)")
            #expect(try await berth.berth("env", "destroy", "box").status == 0)
            let removed = try await berth.berth("images", "rm", name)
            #expect(removed.status == 0, "\(removed.errors)")
            let gone = try await berth.berth("env", "create", "late", "--provider", "docker", "--image", name)
            #expect(gone.status != 0)
            #expect(gone.errors.contains("no image '\(name)'") || gone.output.contains("no image '\(name)'"))
            let broken = try folder.write("this is no archive", to: "broken.tar")
            let wrong = try await berth.berth("images", "import", "test/broken:1", broken)
            #expect(wrong.status != 0)
            #expect(wrong.errors.contains("the Docker Engine refused to import the image"), "\(wrong.errors)")
            let other = try await berth.berth("images", "import", "x:1", archive, "--provider", "local")
            #expect(other.errors.contains("cannot take an image in"), "\(other.errors)")
        }
    }

    @Test func `containers go on without their server, and the next one goes on with them`() async throws {
        try await withServer(Self.place()) { berth, server in
            #expect(try await berth.berth("env", "create", "box", "--provider", "docker").status == 0)
            let running = try await berth.berth("exec", "-d", "-e", "box", "--", "sh", "-c", "sleep 3; echo end")
            #expect(running.status == 0, "\(running.errors)")
            server.signal(9)
            _ = try await server.exit()
            let next = try await berth.serve()
            let id = try #require(try await berth.json("ls")["items"]?.array?.first?["id"]?.string)
            #expect(try await berth.berth("logs", "-f", id).output == "end\n")
            #expect(try await berth.berth("exec", "-e", "box", "--", "echo", "on").output == "on\n")
            await berth.destroyEverything()
            next.signal(15)
            _ = try await next.exit()
        }
    }

    struct BadInput: Sendable, CustomTestStringConvertible {
        var name: String
        var variables: [String: String] = [:]
        var arguments: [String] = []
        var expected: [String]
        var testDescription: String { name }
    }

    static let badInputs = [
        BadInput(
            name: "no engine",
            variables: ["BERTH_DOCKER_SOCKET": "/nonexistent/docker.sock"],
            expected: ["Docker Engine does not answer at /nonexistent/docker.sock"]
        ),
        BadInput(
            name: "no image",
            variables: ["BERTH_DOCKER_IMAGE": "berth/nowhere:9"],
            expected: ["no image 'berth/nowhere:9'"]
        ),
        BadInput(
            name: "no name of an image",
            arguments: ["--image", "../etc"],
            expected: ["'../etc' is not the name of an image"]
        ),
        BadInput(name: "too little memory", arguments: ["--memory", "1M"], expected: ["limits.memoryBytes"]),
    ]

    @Test(arguments: badInputs)
    func `bad input ends in an error that names it, and leaves no container`(_ input: BadInput) async throws {
        try await withServer(Self.place(input.variables)) { berth, _ in
            let result = try await berth.run(
                ["exec", "-e", "new", "--provider", "docker"] + input.arguments + ["--", "true"]
            )
            #expect(result.status != 0)
            for text in input.expected { #expect(result.errors.contains(text), "\(result.errors)") }
            let deployment = "\(berth.data)/environments"
            #expect(try await DockerEngine.shared().containers(label: "berth.deployment=\(deployment)").isEmpty)
        }
    }
}
