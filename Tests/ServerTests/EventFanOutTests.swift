import API
import Base
import Client
import EventLoop
import Glibc
import Testing
import Transport

/// Many viewers of one execution through a whole server.
@Suite struct EventFanOutTests {
    /// More than the kernel holds for one viewer that does not read.
    private static let chunks = 80
    private static let chunk = String(repeating: "wörds and more\n", count: 4096)

    @Test func `quick, slow, late and returning viewers on several loops all see the same bytes`() async throws {
        try await RunningServer.with(loopCount: 3) { server in
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            let accepted = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
            let text = try #require(accepted.body?["executionId"]?.string)
            let id = try ExecutionID(text)
            _ = try await worker.hear("assign")
            let halfway = Wakeup()
            let written = Wakeup()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask { try await Self.follow(id, server, number, halfway: halfway, written: written) }
                }
                for number in 0..<Self.chunks {
                    try await worker.stdout(text, Self.chunk)
                    if number == Self.chunks / 2 { halfway.ring() }
                }
                written.ring()
                try await worker.complete(text)
                try await group.waitForAll()
            }
            worker.socket.close()
        }
    }

    /// Viewers differ by number: quick ones, late ones, ones that stop reading, ones that come back.
    private static func follow(
        _ id: ExecutionID,
        _ server: RunningServer,
        _ number: Int,
        halfway: Wakeup,
        written: Wakeup
    ) async throws {
        if number % 4 == 1 { try await halfway.wait(after: 0) }
        let isRaw = number.isMultiple(of: 2)
        var events = server.client.events(of: id, streams: "stdout", isRaw: isRaw)
        var seen: Int64 = 0
        let expected = Array(String(repeating: chunk, count: chunks).utf8)
        while let event = try await events.next() {
            switch event.kind {
            case .output(_, let offset, let bytes):
                try #require(offset == seen && Int(offset) + bytes.count <= expected.count, "viewer \(number)")
                #expect(Self.holds(expected, bytes, at: Int(offset)), "viewer \(number) at \(offset)")
                seen += Int64(bytes.count)
                if number % 4 == 2 { try await written.wait(after: 0) }
                if number % 4 == 3, seen % 7 == 0 {
                    events = server.client.events(of: id, streams: "stdout", isRaw: isRaw, from: events.position)
                }
            case .end(let execution):
                #expect(execution.status == .completed)
                #expect(seen == Int64(expected.count), "viewer \(number)")
                return
            default: continue
            }
        }
        Issue.record("viewer \(number) saw no end")
    }

    private static func holds(_ all: [UInt8], _ bytes: [UInt8], at offset: Int) -> Bool {
        all.withUnsafeBytes { all in
            guard let start = all.baseAddress else { return bytes.isEmpty }
            return memcmp(start + offset, bytes, bytes.count) == 0
        }
    }

    @Test func `HEAD tells of an event stream without beginning it`() async throws {
        try await RunningServer.with { server in
            let created = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
            let id = try #require(created.body?["executionId"]?.string)
            let answer = try await server.request("HEAD", "/v1/executions/\(id)/events")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/event-stream")
            let unknown = try await server.request("HEAD", "/v1/executions/\(id)/events", isAuthenticated: false)
            #expect(unknown.status == 401)
        }
    }

    @Test func `viewers are let go at once when the server stops`() async throws {
        let cut = try await RunningServer.with(settings: ["drainMs": "20000"]) { server in
            let created = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
            let id = try #require(created.body?["executionId"]?.string)
            let response = try await server.http.send(
                HTTPClientRequest(
                    .get,
                    try HTTPURL(server.url + "/v1/executions/\(id)/events"),
                    headers: ["authorization": "Bearer \(server.key.reveal())"]
                )
            )
            let body = response.body.makeAsyncIterator()
            let first = try await body.next()
            #expect(first.map { String(decoding: $0, as: UTF8.self).contains("event: state") } == true)
            return server.loop.time.uptime
        }
        #expect(SystemTime().uptime - cut < .seconds(10))
    }
}
