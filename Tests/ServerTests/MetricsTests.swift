import Base
import EventLoop
import TestSupport
import Testing
import Transport

@testable import Server

@Suite struct MetricsTests {
    @Test func `what a scrape gets is the format, line by line, and counts what was done`() async throws {
        try await RunningServer.with { server in
            for _ in 0..<3 { #expect(try await server.request("GET", "/v1/whoami").status == 200) }
            #expect(try await server.request("GET", "/v1/whoami", isAuthenticated: false).status == 401)
            #expect(try await server.request("GET", "/nothing").status == 404)
            #expect(try await server.request("DELETE", "/v1/whoami").status == 405)
            let families = try await Self.scrape(server)
            let requests = try #require(families["berth_requests_total"])
            #expect(requests.kind == "counter")
            #expect(requests.value(["route": "whoAmI", "status": "200"]) == 3)
            #expect(requests.value(["route": "whoAmI", "status": "401"]) == 1)
            #expect(requests.value(["route": "none", "status": "404"]) == 1)
            #expect(requests.value(["route": "none", "status": "405"]) == 1)
            let durations = try #require(families["berth_request_duration_seconds"])
            #expect(durations.kind == "histogram")
            #expect(durations.value(["route": "whoAmI"], suffix: "_count") == 4)
            #expect(durations.value(["route": "whoAmI", "le": "+Inf"], suffix: "_bucket") == 4)
            for name in ["berth_loop_lag_seconds", "berth_loop_queue", "berth_loop_sockets"] {
                let loops = Set(families[name]?.samples.compactMap { $0.labels["loop"] } ?? [])
                #expect(loops == ["server-0", "server-1", "server-2"], "\(name)")
            }
            let received = families["berth_loop_received_bytes_total"]?.samples.map(\.value).reduce(0, +) ?? 0
            #expect(received > 500)
            #expect(families["berth_database_queue"]?.value(["kind": "write"]) != nil)
            #expect((families["berth_connections"]?.value([:]) ?? 0) >= 1)
            #expect(families["berth_client_faults_total"]?.value(["fault": "slow_head"]) == 0)
            #expect(families["berth_websockets"]?.value([:]) == 0)
        }
    }

    @Test func `WebSockets and workers rise and fall`() async throws {
        try await RunningServer.with { server in
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            let open = try await Self.scrape(server)
            #expect(open["berth_websockets"]?.value([:]) == 1)
            #expect(open["berth_workers_connected"]?.value([:]) == 1)
            worker.socket.close()
            let deadline = server.loop.time.uptime + .seconds(20)
            while server.loop.time.uptime < deadline {
                let now = try await Self.scrape(server)
                if now["berth_websockets"]?.value([:]) == 0, now["berth_workers_connected"]?.value([:]) == 0 { return }
                try await server.loop.time.wait(for: .milliseconds(20))
            }
            Issue.record("the counts did not fall")
        }
    }

    @Test func `a blocked loop shows its lag while it is blocked, and afterwards`() async throws {
        let group = try EventLoopGroup(count: 1, name: "blocked")
        group.start()
        defer { group.stop() }
        let loop = group.loops[0]
        loop.measureLag()
        try await loop.time.wait(for: LoopMeter.probeInterval * 2)
        let gate = ThreadGate()
        loop.post {
            gate.open()
            gate.waitUntilPassed()
        }
        let time = SystemTime()
        await gate.opened()
        loop.post {}
        let deadline = time.uptime + .seconds(20)
        while loop.load().currentLag < .milliseconds(400), time.uptime < deadline {
            try await time.wait(for: .milliseconds(20))
        }
        let stuck = loop.load()
        #expect(stuck.currentLag >= .milliseconds(400))
        #expect(stuck.maximumLag >= .milliseconds(400))
        #expect(stuck.queued >= 1)
        gate.pass()
        try await loop.time.wait(for: .milliseconds(20))
        let after = loop.load()
        #expect(after.currentLag < .milliseconds(300))
        #expect(after.maximumLag >= .milliseconds(400))
        let slow = zip(LoopMeter.lagBounds + [.max], after.lags).filter { $0.0 > 250 }.map(\.1).reduce(0, +)
        #expect(slow >= 1)
    }

    @Test func `labels and help are escaped`() throws {
        var text = PrometheusText()
        text.begin("berth_test", .gauge, "a \\ and\na line")
        text.sample(["name": "quote \" slash \\ line\n end"], 1)
        let family = try #require(try Exposition.parse(text.text)["berth_test"])
        #expect(family.help == "a \\ and\na line")
        #expect(family.value(["name": "quote \" slash \\ line\n end"]) == 1)
    }

    private static func scrape(_ server: RunningServer) async throws -> [String: Exposition.Family] {
        let answer = try await server.http.fetch(HTTPClientRequest(.get, try HTTPURL(server.url + "/metrics")))
        #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        return try Exposition.parse(String(decoding: answer.body, as: UTF8.self))
    }
}
