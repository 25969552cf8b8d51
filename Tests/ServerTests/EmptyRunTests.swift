import Base
import OpenSSL
import Synchronization
import Testing
import Transport

/// Runs that end as soon as they are given, over real sockets: their ends overtake what the server still does for the
/// assignments.
@Suite struct EmptyRunTests {
    private static let count = 1000
    private static let creators = 8

    /// What workers heard of each execution, in order.
    private final class Told: Sendable {
        private struct State {
            var messages: [String: [String]] = [:]
            var ends = 0
        }

        private let state = Mutex(State())
        private let changed = Wakeup()

        func note(_ type: String, _ execution: String) {
            state.withLock { state in
                state.messages[execution, default: []].append(type)
                if type == "forget" { state.ends += 1 }
            }
            changed.ring()
        }

        var all: [String: [String]] { state.withLock(\.messages) }

        func hasForgotten(_ count: Int) async throws {
            while true {
                let rings = changed.count
                if state.withLock({ $0.ends >= count }) { return }
                try await changed.wait(after: rings)
            }
        }
    }

    @Test(arguments: [(1, 100), (20, 1)])
    func `workers that end everything at once get all of it, and are told once of each end`(workers: Int, slots: Int)
        async throws
    {
        try await RunningServer.with { server in
            let told = Told()
            var sockets: [WebSocket] = []
            for number in 0..<workers { sockets.append(try await Self.connect(server, "w\(number)", slots)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for socket in sockets { group.addTask { try await Self.work(socket, told) } }
                for _ in 0..<Self.creators {
                    group.addTask {
                        for _ in 0..<Self.count / Self.creators {
                            let body = #"{"personaId":"test","prompt":"nothing"}"#
                            let accepted = try await server.request("POST", "/api/execute", body: body)
                            #expect(accepted.status == 202)
                        }
                    }
                }
                group.addTask {
                    try await withDeadline(.seconds(120), time: SystemTime(), what: "the last end") {
                        try await told.hasForgotten(Self.count)
                    }
                }
                for _ in 0...Self.creators { try await group.next() }
                for socket in sockets { socket.close() }
            }
            #expect(told.all.count == Self.count)
            #expect(told.all.filter { $0.value != ["assign", "forget"] }.isEmpty)
            let completed = try await server.request("GET", "/v1/executions?status=completed&limit=200")
            #expect(completed.body?["items"]?.array?.count == 200)
            for state in ["queued", "assigned", "running", "failed"] {
                let others = try await server.request("GET", "/v1/executions?status=\(state)")
                #expect(others.body?["items"]?.array?.isEmpty == true, "\(state)")
            }
        }
    }

    private static func connect(_ server: RunningServer, _ name: String, _ slots: Int) async throws -> WebSocket {
        let socket = try await server.http.webSocket(
            HTTPURL(server.url + "/v1/worker"),
            headers: ["authorization": "Bearer \(RunningServer.workerToken)"]
        )
        try await socket.send(
            text: #"{"type":"hello","workerId":"\#(name)","version":"0","capabilities":[],"protocol":1,"attempts":[]}"#
        )
        _ = try await socket.receive()
        try await socket.send(text: #"{"type":"ready","slots":\#(slots)}"#)
        return socket
    }

    /// Ends each run in the moment in which it is given, until the socket is closed.
    private static func work(_ socket: WebSocket, _ told: Told) async throws {
        let mark = #"{"totalBytes":0,"headBytes":0,"tailBytes":0,"sha256":"\#(Hex.encode(SHA256.hash([])))"}"#
        let report =
            #"{"outcome":"completed","exitCode":0,"durationMs":1,"stdout":\#(mark),"stderr":\#(mark)}"#
        while case .text(let text)? = try? await socket.receive() {
            let message = try JSONValue(parsing: Array(text.utf8))
            guard let type = message["type"]?.string, let id = message["executionId"]?.string else { continue }
            told.note(type, id)
            guard type == "assign" else { continue }
            let run = #""executionId":"\#(id)","attempt":\#(message["attempt"]?.integer ?? 0)"#
            try await socket.send(text: #"{"type":"started",\#(run)}"#)
            try await socket.send(
                text: #"{"type":"complete",\#(run),"status":"completed","exitCode":0,"durationMs":1,"#
                    + #""report":\#(report)}"#
            )
        }
    }
}
