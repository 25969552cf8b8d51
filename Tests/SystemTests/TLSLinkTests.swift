import Base
import FoundationEssentials
import TestSupport
import Testing

/// A worker on another machine reaches its server by TLS.
@Suite struct TLSLinkTests {
    @Test func `a worker links by TLS to a server that it trusts, and to no other`() async throws {
        try await TLSInstallation.with { tls in
            let otherPin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            let strangers: [([String], String)] = [
                ([], "is self-signed and not among those trusted here"),
                (["--server-pin", otherPin], "has another key than the one pinned"),
            ]
            for (options, reason) in strangers {
                let stranger = try tls.worker(options)
                let line = try await stranger.line(containing: "link lost", on: .stderr)
                #expect(line.contains(reason), "\(line)")
                #expect(!String(decoding: tls.server.standardError, as: UTF8.self).contains("worker connected"))
                stranger.signal(15)
                _ = try await stranger.exit(within: .seconds(20))
            }
            let friends: [([String], [String: String])] = [
                (["--server-pin", otherPin, "--server-pin", tls.pin], [:]), ([], ["BERTH_SERVER_PIN": tls.pin]),
                (["--ca-file", tls.certificate], [:]), ([], ["SSL_CERT_FILE": tls.certificate]),
            ]
            for (options, variables) in friends {
                let friend = try tls.worker(options, variables: variables)
                _ = try await friend.line(containing: "link up", on: .stderr)
                friend.signal(15)
                _ = try await friend.exit(within: .seconds(20))
            }
            let wrong = try tls.worker(["--server-pin", "sha256/short"])
            _ = try await wrong.line(containing: "--server-pin: 'sha256/short' is not the pin of a key", on: .stderr)
            wrong.signal(15)
            _ = try await wrong.exit(within: .seconds(20))
        }
    }

    @Test func `a worker whose token is refused says so and the way out, and comes with the right one`() async throws {
        try await TLSInstallation.with { tls in
            try tls.place.directory.write("berthw_" + String(repeating: "f", count: 48), to: "token")
            let worker = try tls.worker(["--ca-file", tls.certificate])
            let line = try await worker.line(containing: "link lost", on: .stderr)
            #expect(line.contains("unauthenticated") && line.contains("error"), "\(line)")
            #expect(line.contains(tls.place.directory.file("token")), "\(line)")
            #expect(try await tls.place.json("doctor").array?.isEmpty == false)
            try tls.place.directory.write(TLSInstallation.token, to: "token")
            _ = try await worker.line(containing: "link up", on: .stderr, within: .seconds(60))
            worker.signal(15)
            _ = try await worker.exit(within: .seconds(20))
        }
    }

    @Test func `the token of a machine that was destroyed is refused by TLS, and both sides say why`() async throws {
        try await TLSInstallation.with { tls in
            let ran = try await tls.place.berth("exec", "-e", "new", "--provider", "host", "--", "true")
            #expect(ran.status == 0, "\(ran)")
            let id = try #require(try await tls.place.json("env", "ls")["items"]?.array?.first?["id"]?.string)
            let found = try await check(["find", tls.place.data, "-name", "token", "-path", "*\(id)*"])
            try await check(["cp", found.trimmed, tls.place.directory.file("token")])
            let gone = try await tls.place.berth("env", "destroy", id)
            #expect(gone.status == 0, "\(gone)")
            let worker = try tls.worker(["--server-pin", tls.pin])
            let line = try await worker.line(containing: "link lost", on: .stderr)
            #expect(line.contains("unauthenticated") && line.contains("was revoked"), "\(line)")
            let said = try await tls.server.line(containing: "worker refused", on: .stderr)
            #expect(said.contains("was revoked") && said.contains("127.0.0.1"), "\(said)")
            worker.signal(15)
            _ = try await worker.exit(within: .seconds(20))
        }
    }

    @Test func `links and streams live on while the certificate changes, and new ones meet the new key`() async throws {
        try await TLSInstallation.with { tls in
            let worker = try tls.worker(["--ca-file", tls.certificate])
            _ = try await worker.line(containing: "link up", on: .stderr)
            let script = "for i in $(seq 200); do echo line $i; sleep 0.05; done"
            let follower = try tls.starting("exec", "--", "sh", "-c", script, trusting: ["BERTH_SERVER_PIN": tls.pin])
            _ = try await follower.line(containing: "line 20")
            try await TLSInstallation.makeCertificate(in: tls.place.directory.path)
            _ = try await tls.server.line(containing: "certificate loaded", on: .stderr)
            let stale = try await tls.remote("ls", trusting: ["BERTH_SERVER_PIN": tls.pin])
            #expect(stale.status == 77 && stale.errors.contains("has another key than the one pinned"), "\(stale)")
            // What was open before saw nothing of it.
            #expect(try await follower.exit(within: .seconds(90)) == 0)
            let lines = String(decoding: follower.standardOutput, as: UTF8.self).split(separator: "\n")
            #expect(lines.count == 200 && lines.last == "line 200")
            #expect(!String(decoding: worker.standardError, as: UTF8.self).contains("link lost"))
            worker.signal(15)
            _ = try await worker.exit(within: .seconds(20))
        }
    }

    @Test func `a run on a standing worker goes there and back by TLS`() async throws {
        try await TLSInstallation.with { tls in
            let folder = tls.place.directory
            // Stands for the agent: takes its task from standard input and says it back, many times.
            try folder.write(
                """
                #!/bin/sh
                task=$(cat)
                echo '{"type":"system","subtype":"init","session_id":"s1","model":"scripted"}'
                for i in $(seq 2000); do
                  echo "{\\"type\\":\\"assistant\\",\\"message\\":{\\"content\\":\\"$i $task\\"}}"
                done
                echo '{"type":"result","subtype":"success","is_error":false,"result":"4","session_id":"s1","num_turns":1}'
                """,
                to: "bin/claude"
            )
            try await check(["chmod", "755", folder.file("bin/claude")])
            let path = folder.file("bin") + ":" + (ChildProcess.plainEnvironment["PATH"] ?? "")
            let worker = try tls.worker(["--server-pin", tls.pin], variables: ["PATH": path])
            _ = try await worker.line(containing: "link up", on: .stderr)

            let accepted = try await tls.call("/api/execute", #"{"personaId":"test","prompt":"What is 2+2?"}"#)
            let id = try #require(accepted["executionId"]?.string, "\(accepted)")
            let followed = try await tls.remote("logs", "-f", id, trusting: ["BERTH_SERVER_PIN": tls.pin])
            #expect(followed.status == 0, "\(followed)")
            #expect(followed.output.contains("2000 What is 2+2?"))
            let shown = try await tls.call("/api/executions/\(id)?offset=0")
            #expect(shown["status"]?.string == "completed", "\(shown)")
            #expect(shown["outputLines"]?.integer == 2002)
            worker.signal(15)
            _ = try await worker.exit(within: .seconds(20))
        }
    }
}
