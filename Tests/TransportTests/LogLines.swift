import Base
import EventLoop
import Synchronization

/// Keeps what a server logs.
final class LogLines: LogSink {
    private let lines = Mutex<[String]>([])
    func write(_ line: [UInt8], _ level: LogLevel) {
        lines.withLock { $0.append(String(decoding: line.dropLast(), as: UTF8.self)) }
    }
    func containing(_ text: String) -> [String] { lines.withLock { $0.filter { $0.contains(text) } } }
}

/// Looks until `condition` holds; false when it does not in good time.
func eventually(_ loop: EventLoop, _ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = loop.time.uptime + .seconds(20)
    while loop.time.uptime < deadline {
        if try await condition() { return true }
        try await loop.time.wait(for: .milliseconds(10))
    }
    return false
}
