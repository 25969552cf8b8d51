import API
import Base
import Domain
import Replicas
import Transport

/// `/v1/servers` and the lease in `/metrics`.
extension ServerCore {
    func serverList() async throws -> HTTPResponse {
        let here = replicas.seat.id
        let items = try await replicas.loads().map { load in
            ServerView(
                id: load.record.id,
                isThis: load.record.id == here,
                status: load.status.rawValue,
                version: load.record.version,
                address: load.record.address,
                fence: load.fence,
                startedAt: load.record.startedAt,
                leaseAgeMs: load.leaseAge.wholeMilliseconds,
                leaseLeftMs: load.leaseLeft.wholeMilliseconds,
                workers: load.workers,
                executions: load.executions,
                environments: load.environments
            )
        }
        return try Self.json(Page(items: items))
    }

    func leaseMetrics(_ text: inout PrometheusText) {
        let now = time.uptime
        let left = replicas.seat.heldUntil.map { max(0, ($0 - now).wholeMilliseconds) } ?? 0
        text.single("berth_lease_held", .gauge, "Whether this server may act.", replicas.seat.isActing(at: now) ? 1 : 0)
        text.single(
            "berth_lease_left_seconds",
            .gauge,
            "Time until this server's lease runs out unless it is renewed; 0: it has none.",
            PrometheusText.number(Double(left) / 1000)
        )
        let counts = replicas.tally.counts
        text.single("berth_lease_renewals_total", .counter, "Renewals of the lease that were granted.", counts.renewals)
        text.single(
            "berth_lease_failures_total",
            .counter,
            "Renewals that the database did not answer or refused.",
            counts.failures
        )
        text.single("berth_lease_losses_total", .counter, "Times that the lease was lost.", counts.losses)
        text.single(
            "berth_workers_adopted_total",
            .counter,
            "Workers taken over from servers that are gone.",
            counts.adoptedWorkers
        )
    }
}
