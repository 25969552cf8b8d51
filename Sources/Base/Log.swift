import Glibc

public enum LogLevel: String, Sendable, Comparable, CaseIterable, Codable {
    case debug, info, warning, error

    public static func < (left: Self, right: Self) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}

/// Where finished log lines go.
public protocol LogSink: Sendable {
    func write(_ line: String)
}

/// Structured logging: a constant lower-case message, facts as pairs. One JSON object a line.
/// Secrets stay out because they are a type that prints as redacted (``Secret``).
public struct Log: Sendable {
    public typealias Facts = KeyValuePairs<String, any CustomStringConvertible & Sendable>

    private let sink: any LogSink
    private let time: any TimeSource
    private let level: LogLevel
    private let context: String

    public init(sink: any LogSink, time: any TimeSource, level: LogLevel = .info) {
        self.init(sink: sink, time: time, level: level, context: "")
    }

    private init(sink: any LogSink, time: any TimeSource, level: LogLevel, context: String) {
        self.sink = sink
        self.time = time
        self.level = level
        self.context = context
    }

    /// A log that also carries `facts` on every line.
    public func with(_ facts: Facts) -> Log {
        Log(sink: sink, time: time, level: level, context: context + Self.render(facts))
    }

    public func debug(_ message: StaticString, _ facts: Facts = [:]) { write(.debug, message, facts) }
    public func info(_ message: StaticString, _ facts: Facts = [:]) { write(.info, message, facts) }
    public func warning(_ message: StaticString, _ facts: Facts = [:]) { write(.warning, message, facts) }
    public func error(_ message: StaticString, _ facts: Facts = [:]) { write(.error, message, facts) }

    private func write(_ level: LogLevel, _ message: StaticString, _ facts: Facts) {
        guard level >= self.level else { return }
        sink.write(
            #"{"time":"\#(time.now)","level":"\#(level.rawValue)","message":"\#(message)"\#(context)\#(Self.render(facts))}"#
        )
    }

    private static func render(_ facts: Facts) -> String {
        var text = ""
        for (key, value) in facts { text += #","\#(key)":"# + JSONText.quoted(value.description) }
        return text
    }
}

/// Lines on standard error, one write each so that lines of several threads never mix.
public struct StandardErrorSink: LogSink {
    public init() {}

    public func write(_ line: String) {
        var text = line + "\n"
        text.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

/// Drops everything.
public struct SilentSink: LogSink {
    public init() {}
    public func write(_: String) {}
}
