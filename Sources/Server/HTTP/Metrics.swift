import Base
import Synchronization

/// Counters and gauges, shown as Prometheus text.
final class Metrics: Sendable {
    private struct Series: Hashable {
        var name: String
        var labels: String
    }

    private let values = Mutex<[Series: Int64]>([:])

    func add(_ name: String, _ labels: String = "", _ count: Int64 = 1) {
        values.withLock { $0[Series(name: name, labels: labels), default: 0] += count }
    }

    func set(_ name: String, _ value: Int64) {
        values.withLock { $0[Series(name: name, labels: "")] = value }
    }

    func text(uptime: Duration) -> String {
        let series = values.withLock { $0 }.sorted { ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels) }
        var text = "# TYPE berth_uptime_seconds gauge\nberth_uptime_seconds \(uptime.wholeMilliseconds / 1000)\n"
        var last = ""
        for (key, value) in series {
            if key.name != last {
                last = key.name
                text += "# TYPE \(key.name) \(key.name.hasSuffix("_total") ? "counter" : "gauge")\n"
            }
            text += key.labels.isEmpty ? "\(key.name) \(value)\n" : "\(key.name){\(key.labels)} \(value)\n"
        }
        return text
    }
}
