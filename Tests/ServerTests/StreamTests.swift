import API
import Base
import Client
import Domain
import Testing
import Transport

@Suite struct StreamTests {
    /// A worker that has been given one execution.
    private static func assigned(_ server: RunningServer, key: String? = nil) async throws -> (DocumentedWorker, String)
    {
        let worker = try await DocumentedWorker.connect(
            to: server.url,
            token: RunningServer.workerToken,
            id: "w1",
            client: server.http
        )
        _ = try await worker.introduce()
        try await worker.ready()
        let accepted = try await server.request(
            "POST",
            "/api/execute",
            body: #"{"personaId":"p","prompt":"x"}"#
        )
        let id = try #require(accepted.body?["executionId"]?.string)
        _ = try await worker.hear("assign")
        return (worker, id)
    }

    @Test func `a stream resumes byte for byte at the last event`() async throws {
        try await RunningServer.with { server in
            let (worker, text) = try await Self.assigned(server)
            let id = try ExecutionID(text)
            var first = server.client.events(of: id, streams: "stdout", isRaw: true)
            try await worker.stdout(text, "héllo ")
            var position = StreamPosition.start
            var seen: [UInt8] = []
            while seen.count < 7, let event = try await first.next() {
                if case .output(_, let offset, let bytes) = event.kind {
                    #expect(offset == Int64(seen.count))
                    seen += bytes
                }
                position = first.position
            }
            try await worker.stdout(text, "wörld\n")
            try await worker.complete(text)
            var second = server.client.events(of: id, streams: "stdout", isRaw: false, from: position)
            var end: Execution?
            while let event = try await second.next() {
                switch event.kind {
                case .output(_, let offset, let bytes):
                    #expect(offset == Int64(seen.count))
                    seen += bytes
                case .end(let execution): end = execution
                default: continue
                }
            }
            #expect(String(decoding: seen, as: UTF8.self) == "héllo wörld\n")
            #expect(end?.status == .completed)
            worker.socket.close()
        }
    }

    @Test func `the same idempotency key runs once, and refuses another request`() async throws {
        try await RunningServer.with { server in
            let body = #"{"personaId":"p","prompt":"x"}"#
            let headers: HTTPHeaders = ["idempotency-key": "k1"]
            let first = try await server.request("POST", "/api/execute", body: body, headers: headers)
            let second = try await server.request("POST", "/api/execute", body: body, headers: headers)
            #expect(first.body?["executionId"] == second.body?["executionId"])
            let other = try await server.request(
                "POST",
                "/api/execute",
                body: #"{"personaId":"p","prompt":"y"}"#,
                headers: headers
            )
            #expect(other.status == 409)
        }
    }

    @Test func `a second server on the same data is refused`() async throws {
        try await RunningServer.with { server in
            await #expect(throws: BerthError.self) { try await RunningServer.with(data: server.data) { _ in } }
        }
    }
}
