import API
import Base
import Client
import Domain
import EventLoop
import FoundationEssentials
import Testing
import Transport

@Suite struct StreamTests {
    /// A worker that has been given one execution.
    private static func assigned(_ server: RunningServer, key: String? = nil) async throws -> (DocumentedWorker, String)
    {
        let worker = try await DocumentedWorker.introduced(to: server)
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

    @Test func `stored output of many pieces comes whole, from any offset and up to any limit`() async throws {
        try await RunningServer.with { server in
            let (worker, text) = try await Self.assigned(server)
            let id = try ExecutionID(text)
            var written: [UInt8] = []
            for number in 0..<5 {
                let chunk = String(repeating: "line \(number)\n", count: 15_000)
                try await worker.stdout(text, chunk)
                written += Array(chunk.utf8)
            }
            try await worker.complete(text)
            let _: Execution = try await server.client.call(
                .executionWait,
                path: ["executionId": text],
                query: [("timeoutMs", "10000")]
            )
            for offset in [0, 1, 131_072, 300_001, written.count] {
                let bytes = try await server.client.output(of: id, stream: .stdout, from: Int64(offset))
                #expect(bytes == Array(written[offset...]))
            }
            for limit in [1, 131_072, 131_073, 300_000] {
                let path = "/v1/executions/\(text)/output?stream=stdout&offset=7&limit=\(limit)"
                let request = HTTPClientRequest(
                    .get,
                    try HTTPURL(server.url + path),
                    headers: ["authorization": "Bearer \(server.key.reveal())"]
                )
                #expect(try await server.http.fetch(request).body == Array(written[7..<7 + limit]))
            }
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

@Suite struct RestartTests {
    /// What a viewer saw, and how the execution ended.
    private struct Seen: Sendable {
        var text: String
        var status: ExecutionStatus?
    }

    @Test func `a viewer follows through a restart of the server without losing a byte`() async throws {
        let data = "/tmp/berth-restart-\(Hex.encode(SystemRandomness().bytes(6)))"
        defer { try? FileManager.default.removeItem(atPath: data) }
        let loop = try EventLoop(name: "viewer")
        loop.start()
        defer { loop.stop() }
        let (port, id, key) = try await RunningServer.with(data: data) { server in
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            let accepted = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
            let id = try #require(accepted.body?["executionId"]?.string)
            _ = try await worker.hear("assign")
            try await worker.stdout(id, "before\n")
            // Stored once a viewer can see it.
            var events = server.client.events(of: try ExecutionID(id), streams: "stdout", isRaw: false)
            while let event = try await events.next() {
                if case .output = event.kind { break }
            }
            return (server.url.split(separator: ":").last.map(String.init) ?? "", id, server.key)
        }
        let viewer = try BerthClient(url: "http://127.0.0.1:\(port)", key: key, loop: loop)
        let seen = try await withThrowingTaskGroup(of: Seen?.self) { group in
            let isDone = Wakeup()
            group.addTask {
                defer { isDone.ring() }
                return try await Self.follow(try ExecutionID(id), viewer)
            }
            group.addTask {
                try await RunningServer.with(data: data, settings: ["listen": "127.0.0.1:\(port)"]) { server in
                    let worker = try await DocumentedWorker.introduced(to: server)
                    try await worker.stdout(id, "after\n")
                    try await worker.complete(id)
                    try await isDone.wait(after: 0, until: loop.time.uptime + .seconds(30), time: loop.time)
                }
                return nil
            }
            defer { group.cancelAll() }
            var seen: Seen?
            while let next = try await group.next() { seen = next ?? seen }
            return seen
        }
        #expect(seen?.text == "before\nafter\n")
        #expect(seen?.status == .completed)
    }

    private static func follow(_ id: ExecutionID, _ client: BerthClient) async throws -> Seen {
        var events = client.events(of: id, streams: "stdout", isRaw: false)
        var bytes: [UInt8] = []
        while let event = try await events.next() {
            switch event.kind {
            case .output(_, _, let piece): bytes += piece
            case .end(let execution):
                return Seen(text: String(decoding: bytes, as: UTF8.self), status: execution.status)
            default: continue
            }
        }
        return Seen(text: String(decoding: bytes, as: UTF8.self), status: nil)
    }
}
