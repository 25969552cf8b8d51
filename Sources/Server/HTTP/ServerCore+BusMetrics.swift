import Base
import Bus

extension ServerCore {
    /// The event bus in `/metrics`.
    func busMetrics(_ text: inout PrometheusText) {
        let reading = bus.meter.reading
        text.single("berth_bus_reached", .gauge, "Whether the event bus answered last.", reading.isReached ? 1 : 0)
        text.single("berth_bus_published_total", .counter, "Messages that the event bus has.", reading.published)
        text.single("berth_bus_failures_total", .counter, "Calls that the event bus did not answer.", reading.failures)
        text.single(
            "berth_bus_waiting_events",
            .gauge,
            "Changes that wait to be published.",
            reading.waitingEvents
        )
        text.single("berth_bus_held_messages", .gauge, "Dead letters that wait to be published.", reading.held)
        if !reading.refusals.isEmpty {
            text.begin("berth_bus_refusing_topics", .gauge, "Topics that take nothing though the bus is there.")
            for refusal in reading.refusals {
                text.sample(["topic": refusal.topic, "code": refusal.reason.code.rawValue], 1)
            }
        }
        text.begin("berth_bus_requests_total", .counter, "Messages of the exec topics by what became of them.")
        text.sample(["outcome": "taken"], reading.taken)
        text.sample(["outcome": "repeated"], reading.repeated)
        text.sample(["outcome": "refused"], reading.refused)
    }
}
