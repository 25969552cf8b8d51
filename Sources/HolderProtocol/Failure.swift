/// A refused or failed request.
public struct Failure: Error, Equatable, Sendable {
    public var code: Code
    /// Where a spawn failed; nil for everything else.
    public var step: SpawnStep?
    /// errno of the failed call, 0 when no call failed.
    public var errno: Int32
    public var message: String

    public enum Code: UInt8, Sendable {
        case spawnFailed = 1
        case unknownChild = 2
        case invalidRequest = 3
        case tooMany = 4
        case stopping = 5
        case unsupportedVersion = 6
        case notATerminal = 7
        case stillRunning = 8
        /// A code of a newer holder.
        case unknown = 255
    }

    public init(code: Code, step: SpawnStep? = nil, errno: Int32 = 0, message: String) {
        self.code = code
        self.step = step
        self.errno = errno
        self.message = message
    }
}

/// The step of a spawn that failed, in the order in which they are taken.
public enum SpawnStep: Int32, Sendable {
    case fork = 1
    case terminal = 2
    case standardStreams = 3
    case limits = 4
    case hide = 5
    case privileges = 6
    case directory = 7
    case execute = 8
}

extension Failure {
    func encode(to writer: inout WireWriter) {
        writer.put(code.rawValue)
        writer.put(step?.rawValue ?? 0)
        writer.put(errno)
        writer.put(message)
    }

    init(from reader: inout WireReader) throws(WireError) {
        code = Code(rawValue: try reader.integer()) ?? .unknown
        step = SpawnStep(rawValue: try reader.integer())
        errno = try reader.integer()
        message = try reader.string()
    }
}
