public import Base
public import Domain

/// A plain program: each message is a run of it, with the text as standard input, or in place of `{}` among its
/// arguments. Its output is the answer.
public struct CommandCodec: AgentCodec {
    private var lines: [String] = []
    private var bytes = 0

    public init() {}

    public var hasProcessPerTurn: Bool { true }

    /// Lines become one text, up to this size.
    private static let textBytes = 16 << 10

    public func launch(_ context: AgentContext, message: String?) throws(BerthError) -> SessionLaunch {
        guard let command = context.command, !command.isEmpty else {
            throw BerthError(
                .missingField,
                "a command session needs a command",
                field: "command",
                remedy: "give the program and its arguments"
            )
        }
        let text = message ?? ""
        let hasPlace = command.contains("{}")
        var launch = SessionLaunch(arguments: command.map { $0 == "{}" ? text : $0 })
        launch.input = hasPlace ? [] : Array(text.utf8)
        launch.variables["BERTH_PERMISSION_MODE"] = context.permissionMode.rawValue
        if let model = context.model { launch.variables["BERTH_MODEL"] = model }
        return launch
    }

    public mutating func open(_ context: AgentContext) -> [[UInt8]] {
        self = CommandCodec()
        return []
    }

    public mutating func read(_ line: [UInt8], _ context: AgentContext) -> AgentReading {
        lines.append(String(decoding: line, as: UTF8.self))
        bytes += line.count + 1
        return AgentReading(bytes > Self.textBytes ? told() : [])
    }

    public mutating func pause() -> [AgentSignal] { told() }

    private mutating func told() -> [AgentSignal] {
        guard !lines.isEmpty else { return [] }
        defer { self = CommandCodec() }
        return [.event(.words(.text, lines.joined(separator: "\n")))]
    }

    public mutating func say(_ message: SessionMessage, _ context: AgentContext) -> [[UInt8]] { [] }
    public mutating func answer(_ request: SessionRequest, _ answer: SessionAnswer) -> [[UInt8]] { [] }
    public mutating func interrupt() -> [[UInt8]] { [] }
    public mutating func change(_ change: SessionChange) throws(BerthError) -> [[UInt8]]? { [] }
    public func explain(_ exit: AgentExit, errors: String) -> FailureReason { explained("the command", exit, errors) }
}
