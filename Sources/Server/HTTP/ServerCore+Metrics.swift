import API
import Base
import Database
import Domain
import Environments
import EventLoop
import Executions
import Jobs
import OpenSSL
import Transport

extension ServerCore {
    /// What `/metrics` shows: of this process, since its start.
    func metricsText() async -> HTTPResponse {
        var text = PrometheusText()
        text.single(
            "berth_uptime_seconds",
            .gauge,
            "Time since the server started.",
            (time.uptime - startedAt).wholeMilliseconds / 1000
        )
        let memory = MemoryUse.now()
        text.begin("berth_memory_bytes", .gauge, "Memory of the allocator: in use, and kept free for what comes next.")
        text.sample(["state": "used"], memory.used)
        text.sample(["state": "free"], memory.free)
        if let certificate = http.value?.certificate {
            text.single(
                "berth_tls_certificate_expires_seconds",
                .gauge,
                "Time until the TLS certificate in use expires.",
                (certificate.notAfter - time.now).wholeMilliseconds / 1000
            )
        }
        requests(&text)
        text.single("berth_connections", .gauge, "Open connections to the API.", http.value?.connectionCount ?? 0)
        text.single("berth_websockets", .gauge, "Open WebSockets of the API.", http.value?.webSocketCount ?? 0)
        if let http = http.value {
            text.begin("berth_client_faults_total", .counter, "Clients refused or cut off, by what they did.")
            for fault in ClientFault.allCases { text.sample(["fault": fault.rawValue], http.count(of: fault)) }
        }
        text.single("berth_event_streams", .gauge, "Open event streams.", metrics.value(.eventStreams))
        text.single("berth_workers_connected", .gauge, "Connected workers.", metrics.value(.workersConnected))
        text.single("berth_spares_ready", .gauge, "Environments that wait for a claim.", environments.readySpares)
        text.single("berth_tunnels_open", .gauge, "TCP channels that are open.", metrics.value(.tunnelsOpen))
        text.begin("berth_tunnel_bytes_total", .counter, "Bytes that closed TCP channels carried.")
        text.sample(["direction": "in"], metrics.value(.tunnelBytesIn))
        text.sample(["direction": "out"], metrics.value(.tunnelBytesOut))
        loops(&text)
        text.single(
            "berth_executions_retried_total",
            .counter,
            "Attempts that the machinery spoilt and that were tried again.",
            executions.tally.retryCount
        )
        text.single(
            "berth_executions_dead_lettered_total",
            .counter,
            "Executions that were given up after repeated failures.",
            executions.tally.deadLetterCount
        )
        leaseMetrics(&text)
        busMetrics(&text)
        let queues = database.queues
        text.begin("berth_database_queue", .gauge, "Jobs that wait for the database.")
        text.sample(["kind": "read"], queues.reads)
        text.sample(["kind": "write"], queues.writes)
        // Without them where the database does not answer: the rest may say why.
        if let depths = try? await jobs.depths() { jobs(depths, &text) }
        if let ages = try? await environments.ages() { environments(ages, &text) }
        return HTTPResponse(
            headers: ["content-type": PrometheusText.mediaType],
            body: .bytes(Array(text.text.utf8))
        )
    }

    private func environments(
        _ ages: [(state: EnvironmentState, count: Int, since: Timestamp)],
        _ text: inout PrometheusText
    ) {
        text.begin("berth_environments", .gauge, "Environments on this server's machine.")
        for age in ages { text.sample(["state": age.state.rawValue], age.count) }
        text.begin(
            "berth_environments_oldest_age_seconds",
            .gauge,
            "How long the environment that is longest in its state has been in it."
        )
        for age in ages {
            text.sample(["state": age.state.rawValue], (time.now - age.since).wholeMilliseconds / 1000)
        }
    }

    private func jobs(_ depths: [JobDepth], _ text: inout PrometheusText) {
        text.begin("berth_jobs", .gauge, "Jobs of the control plane; of those that ended, the ones that are kept.")
        for depth in depths {
            let counts = [
                ("queued", depth.queued), ("active", depth.active), ("completed", depth.completed),
                ("failed", depth.failed),
            ]
            for (state, count) in counts { text.sample(["queue": depth.queue.rawValue, "state": state], count) }
        }
        text.begin(
            "berth_jobs_oldest_age_seconds",
            .gauge,
            "Age of the oldest job that has not ended; 0: there is none."
        )
        for depth in depths {
            let age = depth.oldestAt.map { max(0, (time.now - $0).wholeMilliseconds / 1000) } ?? 0
            text.sample(["queue": depth.queue.rawValue], age)
        }
    }

    private func requests(_ text: inout PrometheusText) {
        let totals = metrics.requests().routes
        let names = FrontDoor.matcher.places.map(\.route.id.rawValue) + ["none"]
        text.begin("berth_requests_total", .counter, "Answered requests by route and status.")
        for (name, route) in zip(names, totals) {
            for (status, count) in route.statuses {
                text.sample(["route": name, "status": status == 0 ? "other" : "\(status)"], count)
            }
        }
        text.begin(
            "berth_request_duration_seconds",
            .histogram,
            "Time from a request's head to its answer, without the transfer of streamed bodies."
        )
        let bounds = RequestMeter.bounds.map { Double($0) / 1e6 }
        for (name, route) in zip(names, totals) where !route.statuses.isEmpty {
            text.histogram(
                ["route": name],
                bounds: bounds,
                counts: route.durations,
                sum: Double(route.nanoseconds) / 1e9
            )
        }
    }

    private func loops(_ text: inout PrometheusText) {
        let loads = metrics.loops.map { (name: $0.name, load: $0.load()) }
        func each(
            _ name: String,
            _ kind: PrometheusText.Kind,
            _ help: String,
            _ value: (LoopMeter.Reading) -> some CustomStringConvertible
        ) {
            text.begin(name, kind, help)
            for (loop, load) in loads { text.sample(["loop": loop], value(load)) }
        }
        text.begin("berth_loop_lag_seconds", .histogram, "How late a timer of the event loop was.")
        let bounds = LoopMeter.lagBounds.map { Double($0) / 1000 }
        for (loop, load) in loads {
            text.histogram(["loop": loop], bounds: bounds, counts: load.lags, sum: Double(load.lagSum) / 1e9)
        }
        each("berth_loop_current_lag_seconds", .gauge, "How long the event loop has been overdue at this moment.") {
            PrometheusText.number(Double($0.currentLag.wholeNanoseconds) / 1e9)
        }
        each("berth_loop_max_lag_seconds", .gauge, "The longest lag of the last minute.") {
            PrometheusText.number(Double($0.maximumLag.wholeNanoseconds) / 1e9)
        }
        each("berth_loop_queue", .gauge, "Jobs that wait for the event loop.", \.queued)
        each("berth_loop_sockets", .gauge, "Open sockets of the event loop.", \.sockets)
        each("berth_loop_received_bytes_total", .counter, "Bytes that sockets of the event loop received.", \.received)
        each("berth_loop_sent_bytes_total", .counter, "Bytes that sockets of the event loop sent.", \.sent)
    }
}
