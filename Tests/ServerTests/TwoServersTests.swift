import API
import Base
import Client
import Domain
import EventLoop
import Synchronization
import TestSupport
import Testing
import Transport

/// Two servers on one PostgreSQL database: a worker on the first, everything else asked of the second.
@Suite struct TwoServersTests {
    private static func with(_ body: @escaping @Sendable (RunningServer, RunningServer) async throws -> Void)
        async throws
    {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: true) { name in
            let settings = [
                "database": cluster.url(name).reveal(), "masterKey": Hex.encode(SystemRandomness().bytes(32)),
            ]
            try await RunningServer.with(settings: settings, loopCount: 2) { first in
                try await RunningServer.with(settings: settings, loopCount: 2) { second in
                    try await body(first, second)
                }
            }
        }
    }

    private static func run(at server: RunningServer) async throws -> String {
        let accepted = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
        return try #require(accepted.body?["executionId"]?.string)
    }

    @Test func `what one server is asked for, the other's worker does, and both see it live`() async throws {
        try await Self.with { first, second in
            let worker = try await DocumentedWorker.introduced(to: first)
            try await worker.ready()
            let text = try await Self.run(at: second)
            _ = try await worker.hear("assign")
            let id = try ExecutionID(text)
            var near = first.client.events(of: id, streams: "stdout", isRaw: true)
            var far = second.client.events(of: id, streams: "stdout", isRaw: true)
            for piece in ["one ", "two ", "three"] {
                try await worker.stdout(text, piece)
                #expect(try await near.nextOutput() == piece)
                #expect(try await far.nextOutput() == piece)
            }
            let listed = try await second.request("GET", "/v1/workers").body?["items"]?.array?.first
            #expect(listed?["isConnected"]?.bool == true)
            #expect(listed?["executions"]?.array?.first?.string == text)
            try await worker.complete(text)
            #expect(try await near.nextOutput() == nil)
            #expect(try await far.nextOutput() == nil)
            let ended: Execution = try await second.client.call(.executionGet, path: ["executionId": text])
            #expect(ended.status == .completed)
            #expect(ended.attempt == 1)
            worker.socket.close()
        }
    }

    @Test func `a cancel goes to the worker of the other server, and its word is what counts`() async throws {
        try await Self.with { first, second in
            let worker = try await DocumentedWorker.introduced(to: first)
            try await worker.ready()
            let id = try await Self.run(at: first)
            _ = try await worker.hear("assign")
            #expect(try await second.request("POST", "/v1/executions/\(id)/cancel").status == 202)
            #expect(try await worker.hear("cancel")["executionId"]?.string == id)
            async let waited = second.request("GET", "/v1/executions/\(id)/wait?timeoutMs=10000")
            try await worker.complete(id, status: "cancelled", exitCode: 143)
            #expect(try await waited.body?["status"]?.string == "cancelled")
            worker.socket.close()
        }
    }

    @Test func `a tunnel through the other server carries bytes, ends and refusals as its own does`() async throws {
        try await Self.with { first, second in
            let worker = try await TunnelWorker.connect(first)
            async let accepted = worker.accept()
            let viewer = try await second.tunnel()
            let channel = try await accepted
            try await viewer.send(binary: [1, 2, 3])
            #expect(try await worker.frame() == .init(kind: 1, channel: channel, number: 0, payload: [1, 2, 3]))
            try await viewer.send(binary: [])
            #expect(try await worker.frame() == .init(kind: 3, channel: channel, number: 3))
            try await worker.send(1, channel, 0, [4, 5])
            try await worker.send(3, channel, 2)
            #expect(try await viewer.receive() == .binary([4, 5]))
            #expect(try await viewer.receive() == .binary([]))
            #expect(try await viewer.receive() == nil)
            guard case .closed(let code, _) = try await viewer.ended() else {
                Issue.record("the viewer's connection broke")
                return
            }
            #expect(code == .normal)

            async let refused = second.refusedTunnel("/v1/workers/w1/tcp?port=81")
            try await worker.refuse("connection refused")
            let answer = try await refused
            #expect(answer.status == 502)
            #expect(answer.body?["detail"]?.string?.contains("connection refused") == true)
            worker.socket.close()
        }
    }

    @Test func `a worker that comes to the other server leaves the first`() async throws {
        try await Self.with { first, second in
            let before = try await DocumentedWorker.introduced(to: first)
            try await before.ready()
            let after = try await DocumentedWorker.introduced(to: second)
            #expect(try await before.socket.receive() == nil)
            guard case .closed(let code, _) = try await before.socket.ended() else {
                Issue.record("the connection broke")
                return
            }
            #expect(code == .policyViolation)
            try await after.ready()
            let id = try await Self.run(at: first)
            #expect(try await after.hear("assign")["executionId"]?.string == id)
            try await after.complete(id)
            after.socket.close()
        }
    }

    @Test func `what waits for any worker is taken once, by a worker of either server`() async throws {
        try await Self.with { first, second in
            let count = 40
            let taken = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                var sockets: [WebSocket] = []
                for (server, name) in [(first, "w1"), (second, "w2")] {
                    let worker = try await DocumentedWorker.connect(
                        to: server.url,
                        token: RunningServer.workerToken,
                        id: name,
                        client: server.http
                    )
                    _ = try await worker.introduce()
                    sockets.append(worker.socket)
                    let willing = WillingWorker(worker: worker, taken: taken)
                    group.addTask { try await willing.run() }
                }
                var ids: [String] = []
                for number in 0..<count { ids.append(try await Self.run(at: number % 2 == 0 ? first : second)) }
                for (number, id) in ids.enumerated() {
                    let other = number % 2 == 0 ? second : first
                    let ended = try await other.request("GET", "/v1/executions/\(id)/wait?timeoutMs=20000")
                    #expect(ended.body?["status"]?.string == "completed", "\(id)")
                    #expect(ended.body?["attempt"]?.integer == 1)
                }
                for socket in sockets { socket.close() }
                try await group.waitForAll()
                #expect(taken.counts.count == count)
                #expect(taken.counts.values.allSatisfy { $0 == 1 })
            }
        }
    }

    @Test func `an upload to one server is fetched from the other`() async throws {
        try await Self.with { first, second in
            let text = String(repeating: "some bundle ", count: 100_000)
            let stored = try await first.request(
                "POST",
                "/v1/uploads",
                body: text,
                headers: ["content-type": "application/octet-stream"]
            )
            let id = try #require(stored.body?["id"]?.string)
            var headers: HTTPHeaders = ["authorization": "Bearer \(RunningServer.workerToken)"]
            let url = try HTTPURL("\(second.url)/v1/worker/uploads/\(id)")
            for _ in 0..<2 {
                let answer = try await second.http.fetch(HTTPClientRequest(.get, url, headers: headers))
                #expect(answer.status == 200)
                #expect(answer.body == Array(text.utf8))
            }
            headers.set("range", "bytes=12-22")
            let part = try await second.http.fetch(HTTPClientRequest(.get, url, headers: headers))
            #expect(part.status == 206)
            #expect(part.body == Array("some bundle".utf8))
        }
    }

    @Test func `a server that stops passes its workers on, and says why others do not answer`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: true) { name in
            let settings = [
                "database": cluster.url(name).reveal(), "masterKey": Hex.encode(SystemRandomness().bytes(32)),
            ]
            try await RunningServer.with(settings: settings, loopCount: 2) { second in
                try await RunningServer.with(settings: settings, loopCount: 2) { first in
                    _ = try await TunnelWorker.connect(first)
                }
                let refused = try await second.refusedTunnel("/v1/workers/w1/tcp?port=80")
                #expect(refused.status == 503)
                #expect(refused.headers["retry-after"] != nil)
            }
        }
    }
}

/// How often each was seen.
private final class Tally: Sendable {
    private let seen = Mutex<[String: Int]>([:])

    func add(_ name: String) { seen.withLock { $0[name, default: 0] += 1 } }
    var counts: [String: Int] { seen.withLock { $0 } }
}

/// One worker's side: takes whatever it is given, says at once that it is done.
private struct WillingWorker: Sendable {
    let worker: DocumentedWorker
    let taken: Tally

    func run() async throws {
        try await worker.ready()
        while case .text(let text)? = try await worker.socket.receive() {
            let message = try JSONValue(parsing: Array(text.utf8))
            guard message["type"]?.string == "assign", let id = message["executionId"]?.string else { continue }
            taken.add(id)
            try await worker.complete(id)
            try await worker.ready()
        }
    }
}

extension ExecutionEvents {
    /// The text of the next output; nil at the end.
    fileprivate mutating func nextOutput() async throws -> String? {
        while let event = try await next() {
            switch event.kind {
            case .output(_, _, let bytes): return String(decoding: bytes, as: UTF8.self)
            case .end: return nil
            default: continue
            }
        }
        return nil
    }
}
