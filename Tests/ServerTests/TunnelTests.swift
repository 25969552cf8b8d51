import Base
import EventLoop
import Testing
import Transport

/// TCP channels through a worker's link, seen from the worker's and the viewer's side of the wire.
@Suite struct TunnelTests {
    private static func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
        (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
    }

    /// A worker, a viewer and the channel between them.
    private static func open(_ server: RunningServer) async throws -> (TunnelWorker, WebSocket, UInt32) {
        let worker = try await TunnelWorker.connect(server)
        async let accepted = worker.accept()
        let viewer = try await server.tunnel()
        return (worker, viewer, try await accepted)
    }

    @Test func `one frame of the worker is one message to the viewer, and the other way round`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            #expect(channel >= 1 << 31)
            try await worker.send(1, channel, 0, [1, 2, 3])
            try await worker.send(1, channel, 3, [4])
            #expect(try await viewer.receive() == .binary([1, 2, 3]))
            #expect(try await viewer.receive() == .binary([4]))
            try await viewer.send(binary: [9, 8])
            try await viewer.send(binary: [7])
            #expect(try await worker.frame() == .init(kind: 1, channel: channel, number: 0, payload: [9, 8]))
            #expect(try await worker.frame() == .init(kind: 1, channel: channel, number: 2, payload: [7]))
        }
    }

    @Test func `what the worker sends before the viewer is there reaches the viewer`() async throws {
        try await RunningServer.with { server in
            let worker = try await TunnelWorker.connect(server)
            async let opening = server.tunnel(port: 22)
            let (channel, port) = try await worker.asked()
            #expect(port == 22)
            try await worker.send(1, channel, 0, Array("banner".utf8))
            try await worker.socket.send(text: #"{"type":"connected","channel":\#(channel)}"#)
            try await worker.send(3, channel, 6)
            let viewer = try await opening
            #expect(try await viewer.receive() == .binary(Array("banner".utf8)))
            #expect(try await viewer.receive() == .binary([]))
        }
    }

    @Test func `each direction ends by itself, and both together close in order`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            try await viewer.send(binary: [1])
            try await viewer.send(binary: [])
            #expect(try await worker.frame().kind == 1)
            #expect(try await worker.frame() == .init(kind: 3, channel: channel, number: 1))
            try await worker.send(1, channel, 0, [5])
            try await worker.send(3, channel, 1)
            #expect(try await viewer.receive() == .binary([5]))
            #expect(try await viewer.receive() == .binary([]))
            #expect(try await viewer.receive() == nil)
            guard case .closed(let code, _) = try await viewer.ended() else {
                Issue.record("the viewer's connection broke")
                return
            }
            #expect(code == .normal)
        }
    }

    @Test func `a viewer that leaves ends its direction and gives the channel up`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            try await viewer.send(binary: [1, 2])
            viewer.close()
            #expect(try await worker.frame().payload == [1, 2])
            #expect(try await worker.frame() == .init(kind: 3, channel: channel, number: 2))
            #expect(try await worker.frame().kind == 5)
            // What was on its way is passed over, and the link goes on.
            try await worker.send(1, channel, 0, [1])
            let (again, next) = try await Self.another(server, worker)
            #expect(next != channel)
            try await worker.send(1, next, 0, [3])
            #expect(try await again.receive() == .binary([3]))
        }
    }

    private static func another(_ server: RunningServer, _ worker: TunnelWorker) async throws -> (WebSocket, UInt32) {
        async let accepted = worker.accept()
        let viewer = try await server.tunnel()
        return (viewer, try await accepted)
    }

    @Test func `a reset in the environment closes the viewer with 1014 and the reason`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            try await worker.send(5, channel, 0, Array("connection reset by peer".utf8))
            guard case .closed(let code, let reason) = try await viewer.ended() else {
                Issue.record("the viewer's connection broke")
                return
            }
            #expect(code == .badGateway)
            #expect(reason == "connection reset by peer")
        }
    }

    @Test func `a lost link closes its viewers with 1013`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, _) = try await Self.open(server)
            worker.socket.close()
            guard case .closed(let code, let reason) = try await viewer.ended() else {
                Issue.record("the viewer's connection broke")
                return
            }
            #expect(code == .tryAgainLater)
            #expect(reason.contains("lost"))
        }
    }

    @Test func `text is no bytes`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, _) = try await Self.open(server)
            try await viewer.send(text: "hello")
            #expect(try await worker.frame().kind == 5)
            guard case .closed(let code, _) = try await viewer.ended() else {
                Issue.record("the viewer's connection broke")
                return
            }
            #expect(code == .unsupportedData)
        }
    }

    @Test func `a viewer that reads nothing holds up its own channel alone`() async throws {
        try await RunningServer.with { server in
            let (worker, stalled, channel) = try await Self.open(server)
            let (lively, other) = try await Self.another(server, worker)
            // Nobody receives from `stalled`, so its socket fills; its worker has a window and no more.
            var sent = 0
            var limit = 1 << 20
            let piece = Self.pattern(64 << 10)
            var credits = 0
            while sent + piece.count <= limit {
                try await worker.send(1, channel, sent, piece)
                sent += piece.count
                if sent + piece.count > limit, credits < 3 {
                    // The kernel's buffers and the client's inbox take some; the grants that come of it are few.
                    try await worker.send(1, other, credits, [UInt8(credits)])
                    #expect(try await lively.receive() == .binary([UInt8(credits)]))
                    credits += 1
                    let frame = try await worker.frame()
                    guard frame.kind == 2 else { break }
                    limit = Int(frame.number)
                }
            }
            var received = 0
            while received < sent, case .binary(let bytes)? = try await stalled.receive() {
                #expect(bytes == piece)
                received += bytes.count
            }
            #expect(received == sent)
        }
    }

    @Test func `a worker that sends past its credit loses the link`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            try await worker.send(1, channel, 5, [1])
            guard case .closed(let code, _) = try await worker.socket.ended() else {
                Issue.record("the link broke")
                return
            }
            #expect(code == .protocolError)
            guard case .closed(.tryAgainLater?, _) = try await viewer.ended() else {
                Issue.record("the viewer was not told")
                return
            }
        }
    }

    @Test func `bytes towards a worker wait for its credit, all of them and in order`() async throws {
        try await RunningServer.with { server in
            let (worker, viewer, channel) = try await Self.open(server)
            let bytes = Self.pattern(3 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for start in stride(from: 0, to: bytes.count, by: 300_000) {
                        try await viewer.send(binary: Array(bytes[start..<min(start + 300_000, bytes.count)]))
                    }
                    try await viewer.send(binary: [])
                }
                var got: [UInt8] = []
                var limit = 1 << 20
                while true {
                    let frame = try await worker.frame()
                    if frame.kind == 3 { break }
                    #expect(frame.kind == 1 && frame.channel == channel && frame.number == Int64(got.count))
                    got += frame.payload
                    #expect(frame.payload.count <= 256 << 10 && got.count <= limit)
                    if got.count == limit {
                        limit += 700_000
                        try await worker.send(2, channel, limit, [0, 0, 0, 0, 0, 0, 0, 0])
                    }
                }
                #expect(got == bytes)
                try await group.waitForAll()
            }
        }
    }

    @Test func `refusals come before the upgrade, as problems`() async throws {
        try await RunningServer.with(settings: ["maxWorkerChannels": "1"]) { server in
            let path = "/v1/workers/w1/tcp"
            #expect(try await server.refusedTunnel(path + "?port=1").status == 404)
            let worker = try await TunnelWorker.connect(server)
            #expect(try await server.refusedTunnel(path).body?["code"]?.string == "missing_field")
            for port in ["0", "65536", "x"] {
                #expect(try await server.refusedTunnel("\(path)?port=\(port)").status == 400)
            }
            #expect(try await server.request("GET", path + "?port=1").status == 400)

            async let refused = server.refusedTunnel(path + "?port=81")
            try await worker.refuse("connection refused")
            let answer = try await refused
            #expect(answer.status == 502)
            #expect(answer.body?["detail"]?.string?.contains("connection refused") == true)

            async let accepted = worker.accept()
            let viewer = try await server.tunnel()
            _ = try await accepted
            #expect(try await server.refusedTunnel(path + "?port=1").status == 429)
            viewer.close()
            _ = try await viewer.ended()

            worker.socket.close()
            _ = try await worker.socket.ended()
            let away = try await server.refusedTunnel(path + "?port=1")
            #expect(away.status == 503)
            #expect(away.headers["retry-after"] != nil)
            _ = try await TunnelWorker.connect(server, capabilities: "[]")
            #expect(try await server.refusedTunnel(path + "?port=1").status == 422)
        }
    }
}
