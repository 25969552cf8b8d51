import Base
import FoundationEssentials
import TestSupport
import Testing

/// What people and programs send by mistake or on purpose: each is refused with a name, and the server goes on.
@Suite struct BadInputTests {
    /// Status and body of one raw request; `--path-as-is` keeps `..` as it was written.
    private static func send(
        _ berth: Installation,
        _ method: String,
        _ path: String,
        _ body: String? = nil
    ) async throws -> (status: String, body: String) {
        let note = try String(contentsOfFile: berth.data + "/server.json", encoding: .utf8)
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(note.utf8))
        let url = try #require(value["url"]?.string)
        let key = try String(contentsOfFile: berth.data + "/api-key", encoding: .utf8).trimmed
        let text = try await check(
            ["curl", "-s", "--path-as-is", "-X", method, "-w", "\n%{http_code}", "-H", "Authorization: Bearer \(key)"]
                + (body == nil ? [] : ["-H", "Content-Type: application/json", "--data-binary", body ?? ""])
                + [url + path]
        )
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (String(lines.last ?? ""), lines.dropLast().joined(separator: "\n"))
    }

    @Test func `each malformed request is refused by name, and nothing is made`() async throws {
        try await withServer { berth, server in
            let id = "exec_01jd0000000000000000000000"
            let requests: [(String, String, String?, String, String)] = [
                ("POST", "/v1/executions", "{", "400", "invalid_json"),
                ("POST", "/v1/executions", "[1]", "400", ""),
                ("POST", "/v1/executions", #"{"command":["true"],"commnad":1}"#, "400", "unknown_field"),
                ("POST", "/v1/executions", #"{"command":"true"}"#, "400", "command"),
                ("POST", "/v1/executions", #"{"command":[]}"#, "400", "missing_field"),
                ("POST", "/v1/executions", #"{"command":["a\u0000b"]}"#, "400", "command[0]"),
                ("POST", "/v1/executions", #"{"command":["true"],"config":{"timeoutMs":-5}}"#, "400", "timeoutMs"),
                ("POST", "/v1/executions", #"{"command":["true"],"environment":"../etc"}"#, "404", "not_found"),
                (
                    "POST", "/v1/executions", #"{"command":["true"],"workingDirectory":"../x"}"#, "400",
                    "workingDirectory"
                ),
                (
                    "POST", "/v1/executions", #"{"command":["true"],"environment":"new","limits":{"cpus":-1}}"#, "400",
                    "limits.cpus"
                ),
                (
                    "POST", "/v1/executions", #"{"command":["true"],"environment":"new","limits":{"memoryBytes":-1}}"#,
                    "400", "limits.memoryBytes"
                ),
                (
                    "POST", "/v1/executions",
                    #"{"command":["true"],"repository":{"url":"https://example.invalid/a","branch":"a..b"}}"#, "400",
                    "branch"
                ),
                (
                    "POST", "/v1/executions",
                    #"{"command":["true"],"repository":{"url":"ext::sh -c id","branch":"b"}}"#, "400", "url"
                ),
                ("POST", "/v1/environments", #"{"name":"../../etc"}"#, "400", "name"),
                ("POST", "/v1/environments", #"{"name":"x","limits":{"processes":-3}}"#, "400", "limits.processes"),
                ("GET", "/v1/executions/\(id)", nil, "404", "not_found"),
                ("GET", "/v1/executions/env_01jd0000000000000000000000", nil, "404", "not_found"),
                ("GET", "/v1/executions/%27%3B--", nil, "404", "not_found"),
                ("GET", "/v1/executions/../../etc/passwd", nil, "404", ""),
                ("GET", "/v1/executions/\(id)/output?offset=-1", nil, "400", "offset"),
                ("GET", "/v1/executions?limit=-1", nil, "400", "limit"),
                ("GET", "/nothing", nil, "404", ""),
                ("DELETE", "/v1/executions", nil, "405", ""),
            ]
            for (method, path, body, status, word) in requests {
                let answer = try await Self.send(berth, method, path, body)
                #expect(answer.status == status, "\(method) \(path) \(body ?? ""): \(answer)")
                #expect(answer.body.contains(word), "\(method) \(path) \(body ?? ""): \(answer)")
            }
            #expect(try await berth.json("ls")["items"]?.array?.isEmpty == true)
            #expect(try await berth.json("env", "ls")["items"]?.array?.isEmpty == true)
            for (arguments, status) in [
                (["show", id], 66), (["show", "../x"], 66), (["env", "show", "nobody"], 66), (["exec"], 64),
                (["exec", "--memory", "-1", "--", "true"], 64), (["exec", "--nonsense"], 64), (["nonsense"], 64),
            ] as [([String], Int32)] {
                let result = try await berth.run(arguments)
                #expect(result.status == status, "\(arguments): \(result)")
                #expect(!result.errors.isEmpty)
            }
            #expect(!server.hasEnded)
        }
    }

    @Test func `a directory that is not there, and a task that is empty, are the caller's to mend`() async throws {
        try await withServer { berth, _ in
            let lost = try await berth.berth("exec", "--workdir", "/no/such/place", "--", "true")
            #expect(lost.status == 66, "\(lost)")
            #expect(lost.errors.contains("/no/such/place"))
            let empty = try await berth.berth("run", "--repo", ".", " ")
            #expect(empty.status == 64, "\(empty)")
            #expect(empty.errors.contains("task is empty"))
            #expect(!empty.errors.contains("sending"))
        }
    }

    @Test func `before the first start the doctor finds no fault in what is not made yet`() async throws {
        let berth = try Installation()
        let fresh = berth.directory.file("home/.local/share/berth")
        let result = try await berth.berth("doctor", "--json", variables: ["BERTH_DATA": fresh])
        let findings = try JSONDecoder().decode(JSONValue.self, from: Data(result.output.utf8)).array ?? []
        #expect(findings.contains { $0["subject"]?.string == "provider local" }, "\(findings)")
        #expect(!findings.contains { $0["subject"]?.string == "providers" }, "\(findings)")
    }

    @Test func `a prompt of exactly 5 MB arrives whole`() async throws {
        try await withServer { berth, _ in
            let text = String(repeating: "0123456789", count: 500_000)
            let result = try await berth.berth("exec", "-i", "--", "sh", "-c", "cat | sha256sum; echo", input: text)
            let file = try berth.directory.write(text, to: "prompt")
            let digest = try await check(["sha256sum", file]).prefix(64)
            #expect(result.output.hasPrefix(digest), "\(result.output) \(result.errors)")
        }
    }

    @Test func `a gigabyte of output is capped and hashed, and memory stays small`() async throws {
        try await withServer { berth, server in
            // The worker's own figure, from inside; agents may not read it, so the host does.
            let flood = "import os\nblock = b'0123456789abcdef' * 65536\nfor _ in range(1024): os.write(1, block)"
            let result = try await berth.berth("exec", "--detach", "--", "python3", "-c", flood)
            let id = result.output.trimmed
            _ = try await berth.berth("logs", "-f", id)
            let mark = try await berth.json("show", id)["report"]?["stdout"]
            #expect(mark?["totalBytes"]?.integer == 1 << 30)
            #expect(mark?["headBytes"]?.integer == 10_000_000)
            let digest = try await check(["python3", "-c", Self.digest])
            #expect(mark?["sha256"]?.string == digest)
            let holder = try await check([
                "sh", "-c", "awk '/^holder/ {print $2}' '\(berth.data)'/environments/*/instance",
            ])
            let worker = try await check(["pgrep", "-P", holder, "-x", "berth-worker"])
            for (name, pid) in [("server", "\(server.pid)"), ("holder", holder), ("worker", worker)] {
                let anonymous = try await check(["awk", "/RssAnon/ {print $2}", "/proc/\(pid)/status"])
                #expect((Int(anonymous) ?? .max) < 64 << 10, "\(name): \(anonymous) KiB")
            }
        }
    }

    private static let digest = """
        import hashlib
        digest = hashlib.sha256()
        for _ in range(1024): digest.update(b'0123456789abcdef' * 65536)
        print(digest.hexdigest())
        """
}
