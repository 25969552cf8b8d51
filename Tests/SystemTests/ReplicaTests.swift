import Base
import EventLoop
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import Transport

/// Two shipped servers on one PostgreSQL, a worker that stands alone, and the CLI.
@Suite struct ReplicaTests {
    /// Numbered lines for about `seconds`, on standard output and in a file beside.
    static func counting(_ lines: Int, in file: String) -> String {
        """
        python3 -c '
        import sys, time
        with open("\(file)", "wb") as copy:
            for number in range(\(lines)):
                line = (chr(123) + "\\"n\\":%06d,\\"x\\":\\"" % number + "x" * 200 + "\\"" + chr(125) + chr(10)).encode()
                copy.write(line)
                copy.flush()
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                if number % 10 == 0: time.sleep(0.02)
        '
        """
    }

    /// The lines of stored output that `counting` wrote.
    static func counted(_ output: String) -> String {
        output.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { $0.hasPrefix("{\"n\":") }.map { $0 + "\n" }.joined()
    }

    static func check(
        _ id: String,
        _ setup: ReplicaInstallation,
        _ server: ReplicaInstallation.Server,
        file: String,
        lines: Int
    ) async throws {
        let shown = try await setup.call("/v1/executions/\(id)", at: server)
        #expect(shown["status"]?.string == "completed", "\(shown)")
        #expect(shown["attempt"]?.integer == 1)
        let stored = try await setup.fetch("/v1/executions/\(id)/output?stream=stdout", at: server)
        let written = try String(contentsOfFile: file, encoding: .utf8)
        #expect(counted(stored) == written)
        #expect(written.utf8.count { $0 == UInt8(ascii: "\n") } == lines)
        let changes = try await setup.call("/v1/changes?subject=\(id)&limit=1000", at: server)
        let ends = (changes["changes"]?.array ?? []).compactMap { $0["type"]?.string }
            .filter { ["execution.completed", "execution.failed", "execution.cancelled"].contains($0) }
        #expect(ends == ["execution.completed"], "\(changes)")
    }

    @Test func `a run is watched, cancelled and reached through the server that its worker is not connected to`()
        async throws
    {
        try await ReplicaInstallation.with { setup in
            let near = try await setup.serve("near")
            let far = try await setup.serve("far")
            let file = setup.folder.file("written")
            let agent = """
                if [ "$task" = sleep ]; then echo '{"asleep":1}'; exec sleep 600; fi
                \(Self.counting(300, in: file))
                """
            let worker = try await setup.worker([near], agent: agent)

            // Watched while it runs.
            let id = try await setup.run("count", at: far)
            let viewer = try setup.starting("logs", "-f", "--raw", id, at: [far])
            _ = try await viewer.line(containing: "\"n\":000100")
            #expect(try await viewer.exit(within: .seconds(60)) == 0)
            #expect(
                Self.counted(String(decoding: viewer.standardOutput, as: UTF8.self))
                    == (try String(contentsOfFile: file, encoding: .utf8))
            )
            try await Self.check(id, setup, far, file: file, lines: 300)

            // Cancelled: the worker says so itself, long before the server would stop waiting for its word.
            let sleeping = try await setup.run("sleep", at: far)
            let asleep = try setup.starting("logs", "-f", "--raw", sleeping, at: [far])
            _ = try await asleep.line(containing: "asleep")
            _ = try await setup.call("/v1/executions/\(sleeping)/cancel", method: "POST", at: far)
            let ended = try await setup.call("/v1/executions/\(sleeping)/wait?timeoutMs=12000", at: far)
            #expect(ended["status"]?.string == "cancelled", "\(ended)")
            _ = try await asleep.exit(within: .seconds(30))

            // Reached: a port beside the worker.
            let listed = try await setup.call("/v1/workers", at: far)
            let name = try #require(listed["items"]?.array?.first?["id"]?.string, "\(listed)")
            #expect(try await Self.echo("hello", through: far, worker: name) == "hello")
            near.process.signal(9)
            _ = try await near.process.exit()
            let refused = await #expect(throws: BerthError.self) {
                try await Self.echo("hello", through: far, worker: name)
            }
            #expect(refused?.code == .unavailable)
            try await setup.end(worker, far.process)
        }
    }

    @Test func `terminals, SSH and what goes on in an environment are reached through the other server`() async throws {
        try await ReplicaInstallation.with { setup in
            let near = try await setup.serve("near")
            let far = try await setup.serve("far")
            _ = try await setup.call("/v1/environments", #"{"name":"box"}"#, at: near)
            var shown = try await setup.call("/v1/environments/box", at: far)
            while let status = shown["status"]?.string, status != "running" {
                try #require(status != "error", "\(shown)")
                let version = shown["version"]?.integer ?? 0
                shown = try await setup.call("/v1/environments/box?afterVersion=\(version)&waitMs=20000", at: far)
            }
            let terminals = "/v1/environments/box/terminals"
            let made = try await setup.call(terminals, #"{"name":"mine","command":["sleep","600"]}"#, at: far)
            #expect(made["status"]?.string == "running", "\(made)")
            for server in [near, far] {
                let all = try await setup.call(terminals, at: server)
                #expect(all["items"]?.array?.compactMap { $0["name"]?.string } == ["mine"], "\(all)")
            }
            let activity = try await setup.call("/v1/environments/box/activity", at: far)
            #expect(activity["status"]?.string == "running", "\(activity)")
            let access = try await setup.call("/v1/environments/box/ssh", method: "POST", at: far)
            #expect(access["hostKey"]?.string?.hasPrefix("ssh-ed25519 ") == true, "\(access)")
            // What is refused there is refused here in the same words.
            let unknown = try await setup.call("\(terminals)/other", at: far)
            #expect(unknown["code"]?.string == "not_found", "\(unknown)")
            let ended = try await setup.call("\(terminals)/mine", method: "DELETE", at: far)
            #expect(ended["name"]?.string == "mine", "\(ended)")
            _ = try await setup.call("/v1/environments/box/destroy", method: "POST", at: far)
            while shown["status"]?.string != "destroyed" {
                let version = shown["version"]?.integer ?? 0
                let id = shown["id"]?.string ?? ""
                shown = try await setup.call("/v1/environments/\(id)?afterVersion=\(version)&waitMs=20000", at: near)
            }
            try await setup.end(near.process, far.process)
        }
    }

    /// Sends `text` to a port on this machine that says it back, through a server's WebSocket.
    private static func echo(_ text: String, through server: ReplicaInstallation.Server, worker: String) async throws
        -> String
    {
        let program =
            "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
            + "c, _ = s.accept(); c.sendall(c.recv(100)); c.close()"
        let peer = try ChildProcess(["python3", "-c", program], environment: ChildProcess.plainEnvironment)
        let port = try await peer.line(containing: "")
        let loop = try EventLoop(name: "echo")
        loop.start()
        defer { loop.stop() }
        let client = HTTPClient(loop: loop)
        var headers = HTTPHeaders()
        headers.set("authorization", "Bearer \(try server.key)")
        do {
            let socket = try await client.webSocket(
                try HTTPURL("\(server.url)/v1/workers/\(worker)/tcp?port=\(port)"),
                headers: headers,
                refused: { response in
                    BerthError(response.status == 503 ? .unavailable : .internal, "refused with \(response.status)")
                }
            )
            try await socket.send(binary: Array(text.utf8))
            var heard: [UInt8] = []
            while let message = try await socket.receive() {
                guard case .binary(let bytes) = message, !bytes.isEmpty else { break }
                heard += bytes
            }
            socket.close()
            await client.close()
            _ = try await peer.exit()
            return String(decoding: heard, as: UTF8.self)
        } catch {
            await client.close()
            peer.signal(9)
            throw error
        }
    }

    @Test func `an environment of one server is used, stopped and started through another`() async throws {
        try await ReplicaInstallation.with { setup in
            let near = try await setup.serve("near", variables: ["BERTH_PROVIDER": "host"])
            let far = try await setup.serve("far", variables: ["BERTH_PROVIDER": "host"])
            func exec(_ server: ReplicaInstallation.Server) async throws -> String {
                let process = try setup.starting("exec", "--", "sh", "-c", "echo here $((20 + 3))", at: [server])
                let status = try await process.exit(within: .seconds(60))
                #expect(status == 0, "\(String(decoding: process.standardError, as: UTF8.self))")
                return String(decoding: process.standardOutput, as: UTF8.self)
            }
            #expect(try await exec(near) == "here 23\n")
            #expect(try await exec(far) == "here 23\n")
            for (verb, state) in [("stop", "stopped"), ("start", "running"), ("destroy", "destroyed")] {
                let command = try setup.starting("env", verb, "personal", "--json", at: [far])
                let status = try await command.exit(within: .seconds(60))
                let text = String(decoding: command.standardOutput, as: UTF8.self)
                #expect(status == 0 && text.contains("\"\(state)\""), "\(verb): \(text)")
                if verb == "start" { #expect(try await exec(far) == "here 23\n") }
            }
            try await setup.end(near.process, far.process)
        }
    }

    @Test func `a run goes on when the server that its worker is connected to is killed`() async throws {
        try await ReplicaInstallation.with { setup in
            let first = try await setup.serve("first")
            let second = try await setup.serve("second")
            let file = setup.folder.file("written")
            let worker = try await setup.worker([first, second], agent: Self.counting(3000, in: file))
            let id = try await setup.run("count", at: first)
            let viewer = try setup.starting("logs", "-f", "--raw", id, at: [first, second])
            _ = try await viewer.line(containing: "\"n\":000500")
            first.process.signal(9)
            _ = try await first.process.exit()
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            #expect(
                Self.counted(String(decoding: viewer.standardOutput, as: UTF8.self))
                    == (try String(contentsOfFile: file, encoding: .utf8))
            )
            try await Self.check(id, setup, second, file: file, lines: 3000)
            try await setup.end(worker, second.process)
        }
    }

    @Test func `a server that is frozen past its lease loses its workers and takes nothing back from them`()
        async throws
    {
        try await ReplicaInstallation.with { setup in
            let first = try await setup.serve("first")
            let second = try await setup.serve("second")
            let file = setup.folder.file("written")
            let worker = try await setup.worker([first, second], agent: Self.counting(18_000, in: file))
            let id = try await setup.run("count", at: first)
            let viewer = try setup.starting("logs", "-f", "--raw", id, at: [second])
            _ = try await viewer.line(containing: "\"n\":000500")
            first.process.signal(SIGSTOP)
            _ = try await second.process.line(containing: "workers taken over", on: .stderr)
            _ = try await second.process.line(containing: "worker connected", on: .stderr, within: .seconds(60))
            first.process.signal(SIGCONT)
            _ = try await first.process.line(containing: "lease lost", on: .stderr)
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            try await Self.check(id, setup, first, file: file, lines: 18_000)
            try await setup.end(worker, first.process, second.process)
        }
    }

    @Test func `a run goes on when all servers are killed and one comes back`() async throws {
        try await ReplicaInstallation.with { setup in
            let first = try await setup.serve("first")
            let second = try await setup.serve("second")
            let file = setup.folder.file("written")
            let worker = try await setup.worker([first, second], agent: Self.counting(3000, in: file))
            let id = try await setup.run("count", at: second)
            let viewer = try setup.starting("logs", "-f", "--raw", id, at: [second])
            _ = try await viewer.line(containing: "\"n\":000500")
            for server in [first, second] {
                server.process.signal(9)
                _ = try await server.process.exit()
            }
            // Not the one that the worker was connected to: that one's lease has to run out.
            let again = try await setup.serve("second", listen: "127.0.0.1:\(second.port)")
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            #expect(
                Self.counted(String(decoding: viewer.standardOutput, as: UTF8.self))
                    == (try String(contentsOfFile: file, encoding: .utf8))
            )
            try await Self.check(id, setup, again, file: file, lines: 3000)
            try await setup.end(worker, again.process)
        }
    }
}
