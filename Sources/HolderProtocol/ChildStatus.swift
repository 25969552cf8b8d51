/// One child as the holder knows it.
public struct ChildStatus: Equatable, Sendable {
    public var id: String
    public var isTerminal: Bool
    public var state: State
    /// Milliseconds since 1970, by the holder's clock.
    public var startedAtMs: Int64

    public enum State: Equatable, Sendable {
        /// Forked; whether the program can be executed is not known yet.
        case starting
        case running(pid: Int32)
        case exited(Exit)
    }

    public init(id: String, isTerminal: Bool, state: State, startedAtMs: Int64) {
        self.id = id
        self.isTerminal = isTerminal
        self.state = state
        self.startedAtMs = startedAtMs
    }
}

/// How a child's main process ended, and what it used with its waited-for children.
public struct Exit: Equatable, Sendable {
    public var cause: Cause
    public var userMs: Int64
    public var systemMs: Int64
    public var maxResidentBytes: Int64
    /// Processes of the tree could not be removed yet (uninterruptible sleep) or were to be left.
    public var hasLeftovers: Bool

    public enum Cause: Equatable, Sendable {
        case code(Int32)
        case signal(Int32)
        /// The guardian itself was killed, so nobody saw the child's end; its tree is killed.
        case lost
    }

    public init(cause: Cause, userMs: Int64, systemMs: Int64, maxResidentBytes: Int64, hasLeftovers: Bool) {
        self.cause = cause
        self.userMs = userMs
        self.systemMs = systemMs
        self.maxResidentBytes = maxResidentBytes
        self.hasLeftovers = hasLeftovers
    }
}

extension ChildStatus {
    public func encode(to writer: inout WireWriter) {
        writer.put(id)
        writer.put(isTerminal)
        writer.put(startedAtMs)
        switch state {
        case .starting: writer.put(UInt8(0))
        case .running(let pid):
            writer.put(UInt8(1))
            writer.put(pid)
        case .exited(let exit):
            writer.put(UInt8(2))
            exit.encode(to: &writer)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        id = try reader.string()
        isTerminal = try reader.boolean()
        startedAtMs = try reader.integer()
        switch try reader.integer(UInt8.self) {
        case 0: state = .starting
        case 1: state = .running(pid: try reader.integer())
        case 2: state = .exited(try Exit(from: &reader))
        default: throw .invalidValue("state")
        }
    }
}

extension Exit {
    func encode(to writer: inout WireWriter) {
        switch cause {
        case .code(let code):
            writer.put(UInt8(0))
            writer.put(code)
        case .signal(let signal):
            writer.put(UInt8(1))
            writer.put(signal)
        case .lost:
            writer.put(UInt8(2))
            writer.put(Int32(0))
        }
        writer.put(userMs)
        writer.put(systemMs)
        writer.put(maxResidentBytes)
        writer.put(hasLeftovers)
    }

    init(from reader: inout WireReader) throws(WireError) {
        let kind: UInt8 = try reader.integer()
        let value: Int32 = try reader.integer()
        switch kind {
        case 0: cause = .code(value)
        case 1: cause = .signal(value)
        case 2: cause = .lost
        default: throw .invalidValue("cause")
        }
        userMs = try reader.integer()
        systemMs = try reader.integer()
        maxResidentBytes = try reader.integer()
        hasLeftovers = try reader.boolean()
    }
}
