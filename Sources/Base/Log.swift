import Glibc

public enum LogLevel: String, Sendable, Comparable, CaseIterable, Codable {
    case debug, info, warning, error

    private var severity: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.severity < right.severity }
}

/// Where finished log lines go.
public protocol LogSink: Sendable {
    /// Takes one line in UTF-8, its line feed included.
    func write(_ line: [UInt8], _ level: LogLevel)
}

extension LogSink {
    /// A plain line of a program's own.
    public func write(_ text: String) { write(Array(text.utf8) + [UInt8(ascii: "\n")], .error) }
}

/// Structured logging: a constant lower-case message, facts as pairs. One JSON object a line.
/// Secrets stay out because they are a type that prints as redacted (``Secret``).
public struct Log: Sendable {
    public typealias Facts = KeyValuePairs<String, any CustomStringConvertible & Sendable>

    private let sink: any LogSink
    private let time: any TimeSource
    private let level: LogLevel
    /// Facts of every line, as they stand in it.
    private let context: [UInt8]

    public init(sink: any LogSink, time: any TimeSource, level: LogLevel = .info) {
        self.init(sink: sink, time: time, level: level, context: [])
    }

    private init(sink: any LogSink, time: any TimeSource, level: LogLevel, context: [UInt8]) {
        self.sink = sink
        self.time = time
        self.level = level
        self.context = context
    }

    /// A log that also carries `facts` on every line.
    public func with(_ facts: Facts) -> Log {
        var context = context
        Self.append(facts, to: &context)
        return Log(sink: sink, time: time, level: level, context: context)
    }

    /// Whether lines of this level are written. For facts that cost something to gather.
    public func isOn(_ level: LogLevel) -> Bool { level >= self.level }

    // The facts are evaluated only when the line is written.
    public func debug(_ message: StaticString, _ facts: @autoclosure () -> Facts = [:]) {
        if isOn(.debug) { write(.debug, message, facts()) }
    }
    public func info(_ message: StaticString, _ facts: @autoclosure () -> Facts = [:]) {
        if isOn(.info) { write(.info, message, facts()) }
    }
    public func warning(_ message: StaticString, _ facts: @autoclosure () -> Facts = [:]) {
        if isOn(.warning) { write(.warning, message, facts()) }
    }
    public func error(_ message: StaticString, _ facts: @autoclosure () -> Facts = [:]) {
        if isOn(.error) { write(.error, message, facts()) }
    }

    /// As above for a line that is written very often: `facts` writes them one by one, without a list of them.
    public func info(_ message: StaticString, writing facts: (inout LogLine) -> Void) {
        if isOn(.info) { write(.info, message, facts) }
    }

    private func write(_ level: LogLevel, _ message: StaticString, _ facts: Facts) {
        write(level, message) { line in Self.append(facts, to: &line.bytes) }
    }

    private func write(_ level: LogLevel, _ message: StaticString, _ facts: (inout LogLine) -> Void) {
        var line = LogLine()
        line.bytes.reserveCapacity(256 + context.count)
        Self.append(#"{"time":""#, to: &line.bytes)
        time.now.append(to: &line.bytes)
        Self.append(#"","level":""#, to: &line.bytes)
        line.bytes.append(contentsOf: level.rawValue.utf8)
        Self.append(#"","message":""#, to: &line.bytes)
        Self.append(message, to: &line.bytes)
        line.bytes.append(UInt8(ascii: "\""))
        line.bytes.append(contentsOf: context)
        facts(&line)
        line.bytes.append(UInt8(ascii: "}"))
        line.bytes.append(UInt8(ascii: "\n"))
        sink.write(line.bytes, level)
    }

    private static func append(_ text: StaticString, to line: inout [UInt8]) {
        text.withUTF8Buffer { line.append(contentsOf: $0) }
    }

    private static func append(_ facts: Facts, to line: inout [UInt8]) {
        for (key, value) in facts {
            Self.append(#",""#, to: &line)
            line.append(contentsOf: key.utf8)
            Self.append(#"":"#, to: &line)
            JSONText.appendQuoted(value.description.utf8, to: &line)
        }
    }
}

/// The facts of one line, as they are written.
public struct LogLine {
    fileprivate var bytes: [UInt8] = []

    fileprivate init() {}

    public mutating func add(_ name: StaticString, _ value: String) {
        begin(name)
        JSONText.appendQuoted(value.utf8, to: &bytes)
    }

    public mutating func add(_ name: StaticString, _ value: Int64) {
        begin(name)
        bytes.append(UInt8(ascii: "\""))
        JSONText.append(value, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func begin(_ name: StaticString) {
        bytes.append(UInt8(ascii: ","))
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }
}

/// Lines on standard error, one write each so that lines of several threads never mix.
public struct StandardErrorSink: LogSink {
    public init() {}

    public func write(_ line: [UInt8], _ level: LogLevel) { line.withUnsafeBytes(Self.write) }

    /// Writes all of `bytes`, as far as anybody reads them: a log that cannot be written stops nothing.
    public static func write(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while rest.count > 0 {
            let count = Glibc.write(2, rest.baseAddress, rest.count)
            if count > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno == EAGAIN {
                // Somebody made the descriptor non-blocking; its reader is waited for all the same.
                var entry = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}

/// Drops everything.
public struct SilentSink: LogSink {
    public init() {}
    public func write(_: [UInt8], _: LogLevel) {}
}
