import API
import Base
import Client
import Domain
import Testing
import Transport

/// The worker protocol and the first HTTP paths as their document wrote them.
@Suite struct DocumentedPeerTests {
    private static let request =
        #"{"personaId":"test","prompt":"What is 2+2? Reply with just the number.","config":{"timeoutMs":30000}}"#

    @Test(arguments: [false, true])
    func `a documented worker runs a documented request`(inQuery: Bool) async throws {
        try await RunningServer.with { server in
            let worker = try await DocumentedWorker.connect(
                to: server.url,
                token: RunningServer.workerToken,
                id: "w1",
                client: server.http,
                inQuery: inQuery
            )
            let ack = try await worker.introduce()
            #expect(ack["workerId"]?.string == "w1")
            #expect(ack["sessionToken"]?.string?.isEmpty == false)
            try await worker.ready()

            let accepted = try await server.request("POST", "/api/execute", body: Self.request)
            #expect(accepted.status == 202)
            #expect(accepted.body?["status"]?.string == "queued")
            let id = try #require(accepted.body?["executionId"]?.string)

            let assign = try await worker.hear("assign")
            #expect(assign["executionId"]?.string == id)
            #expect(assign["personaId"]?.string == "test")
            #expect(assign["prompt"]?.string == "What is 2+2? Reply with just the number.")
            #expect(assign["config"]?["timeoutMs"]?.integer == 30000)
            #expect(assign["config"]?["maxOutputBytes"]?.integer != nil)
            guard case .object? = assign["env"] else {
                Issue.record("env is not an object")
                return
            }

            try await worker.stdout(id, "4\nand ")
            try await worker.say(#"{"type":"heartbeat","timestamp":1771000000000}"#)
            try await worker.stdout(id, "done\n")
            try await worker.say(
                #"{"type":"event","executionId":"\#(id)","eventType":"user_message","payload":{"text":"hello"}}"#
            )
            try await worker.complete(id)

            let ended: Execution = try await server.client.call(
                .executionWait,
                path: ["executionId": id],
                query: [("timeoutMs", "10000")]
            )
            #expect(ended.status == .completed)
            #expect(ended.exitCode == 0)
            let shown = try await server.request("GET", "/api/executions/\(id)?offset=1")
            #expect(shown.body?["status"]?.string == "completed")
            #expect(shown.body?["outputLines"]?.integer == 2)
            #expect(shown.body?["output"]?.array == [.string("and done")])
            let bytes = try await server.client.output(of: ended.id, stream: .stdout, from: 0)
            #expect(String(decoding: bytes, as: UTF8.self) == "4\nand done\n")
            worker.socket.close()
        }
    }

    @Test func `cancel reaches the worker and wins`() async throws {
        try await RunningServer.with { server in
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            let accepted = try await server.request("POST", "/api/execute", body: Self.request)
            let id = try #require(accepted.body?["executionId"]?.string)
            _ = try await worker.hear("assign")
            let cancelled = try await server.request("POST", "/api/executions/\(id)/cancel")
            #expect(cancelled.status == 200)
            #expect(try await worker.hear("cancel")["executionId"]?.string == id)
            try await worker.complete(id, status: "cancelled", exitCode: 143)
            let ended: Execution = try await server.client.call(
                .executionWait,
                path: ["executionId": id],
                query: [("timeoutMs", "10000")]
            )
            #expect(ended.status == .cancelled)
            #expect(ended.cancelledBy != nil)
            worker.socket.close()
        }
    }

    @Test func `a wrong token is refused before the upgrade`() async throws {
        try await RunningServer.with { server in
            await #expect(throws: BerthError.self) {
                _ = try await DocumentedWorker.connect(
                    to: server.url,
                    token: "wrong",
                    id: "w1",
                    client: server.http
                )
            }
        }
    }

    @Test func `status tells of workers and the queue`() async throws {
        try await RunningServer.with { server in
            _ = try await server.request("POST", "/api/execute", body: Self.request)
            let before = try await server.request("GET", "/api/status")
            #expect(before.body?["queue"]?["queued"]?.integer == 1)
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            _ = try await worker.hear("assign")
            let after = try await server.request("GET", "/api/status")
            #expect(after.body?["workers"]?.array?.first?["status"]?.string == "executing")
            worker.socket.close()
        }
    }
}
