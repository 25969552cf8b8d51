import Base
import FoundationEssentials
import TestSupport
import Testing

/// The port of a run script, where the worker and the script are not the same user.
@Suite struct RunScriptTests {
    private static let server = """
        import socket
        listener = socket.create_server(("127.0.0.1", 8123))
        print("up", flush=True)
        while True:
            peer, _ = listener.accept()
            peer.recv(1000)
            peer.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
            peer.close()
        """

    @Test(arguments: ["local", "host", "docker"])
    func `a run script's port is found`(provider: String) async throws {
        let variables = provider == "docker" ? ["BERTH_DOCKER_SOCKET": try await DockerEngine.shared().socket] : [:]
        try await withServer(Installation(variables: variables)) { berth, _ in
            let seed = berth.directory.file("seed")
            try berth.directory.write(Self.server, to: "seed/serve.py")
            try berth.directory.write(#"{"scripts":{"run":"python3 serve.py"}}"#, to: "seed/berth.json")
            for arguments in [["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "seed"]] {
                try await check(["git", "-C", seed, "-c", "user.name=t", "-c", "user.email=t@localhost"] + arguments)
            }
            _ = try await berth.json("env", "create", "build", "--provider", provider)
            let made = try await berth.berth("ws", "create", seed, "-e", "build", "--name", "page")
            #expect(made.status == 0, "\(made.errors)")
            let started = try await berth.berth("ws", "run", "page", "--json")
            #expect(started.status == 0, "\(started.errors)")
            let id = try #require(try JSONValue(parsing: started.output.utf8)["terminalId"]?.string)
            let shown = try berth.starting("terminal", "attach", "build", id, "--read-only", "--from", "0")
            _ = try await shown.line(containing: "up")
            shown.signal(9)
            let status = try await berth.json("ws", "run", "page", "--status")
            #expect(status["state"]?.string == "RUNNING", "\(status)")
            #expect(status["ports"]?.array?.compactMap(\.integer) == [8123], "\(status)")
            #expect(try await berth.berth("ws", "stop", "page").status == 0)
        }
    }
}
