/// What a child is to be. The holder answers a known `id` with the child that already has it.
public struct SpawnRequest: Equatable, Sendable {
    /// Chosen by the worker and unique for the holder's life: `exec_…:ATTEMPT`.
    public var id: String
    /// Program and arguments. A name without `/` is searched in the `PATH` of `environment`.
    public var arguments: [String]
    /// `NAME=value`, the whole environment; nothing is inherited.
    public var environment: [String]
    /// Absolute; empty is the holder's own directory.
    public var directory: String
    public var user: UserIdentity?
    public var input: Input
    public var mode: Mode
    public var limits: Limits
    /// −1000…1000, see proc(5); children should be ended before the holder and the worker.
    public var oomScore: Int32
    public var privileges: Privileges
    /// Whether what the main process leaves behind is killed when it ends.
    public var reapsTree: Bool

    public init(
        id: String,
        arguments: [String],
        environment: [String] = [],
        directory: String = "",
        user: UserIdentity? = nil,
        input: Input = .null,
        mode: Mode = .pipes,
        limits: Limits = Limits(),
        oomScore: Int32 = 500,
        privileges: Privileges = .drop,
        reapsTree: Bool = true
    ) {
        self.id = id
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.user = user
        self.input = input
        self.mode = mode
        self.limits = limits
        self.oomScore = oomScore
        self.privileges = privileges
        self.reapsTree = reapsTree
    }
}

public struct UserIdentity: Equatable, Sendable {
    public var uid: UInt32
    public var gid: UInt32

    public init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }
}

/// Standard input of a child with pipes; a terminal is its own input.
public enum Input: UInt8, Sendable {
    /// `/dev/null`.
    case null = 0
    /// The descriptor that came with the request.
    case descriptor = 1
    /// A pipe whose writing end the holder keeps, so that it outlives the worker, until `closeInput`.
    case pipe = 2
}

public enum Mode: Equatable, Sendable {
    case pipes
    /// A pseudo-terminal of this size, the child's controlling terminal.
    case terminal(columns: UInt16, rows: UInt16)
}

/// Resource limits, see setrlimit(2); nil leaves the holder's own.
public struct Limits: Equatable, Sendable {
    public var processes: Int64?
    public var openFiles: Int64?
    public var addressSpaceBytes: Int64?

    public init(processes: Int64? = nil, openFiles: Int64? = nil, addressSpaceBytes: Int64? = nil) {
        self.processes = processes
        self.openFiles = openFiles
        self.addressSpaceBytes = addressSpaceBytes
    }
}

public enum Privileges: UInt8, Sendable {
    /// No capability and no way to one (`no_new_privs`).
    case drop = 0
    /// As the holder: a person's own host, where `sudo` should work.
    case keep = 1
    /// What installing packages as root takes, without mounting, tracing or signalling others.
    case administer = 2
}

extension SpawnRequest {
    public func encode(to writer: inout WireWriter) {
        writer.put(id)
        writer.put(arguments)
        writer.put(environment)
        writer.put(directory)
        writer.put(user != nil)
        writer.put(user?.uid ?? 0)
        writer.put(user?.gid ?? 0)
        writer.put(input.rawValue)
        if case .terminal(let columns, let rows) = mode {
            writer.put(true)
            writer.put(columns)
            writer.put(rows)
        } else {
            writer.put(false)
            writer.put(UInt16(0))
            writer.put(UInt16(0))
        }
        writer.put(limits.processes ?? -1)
        writer.put(limits.openFiles ?? -1)
        writer.put(limits.addressSpaceBytes ?? -1)
        writer.put(oomScore)
        writer.put(privileges.rawValue)
        writer.put(reapsTree)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        id = try reader.string()
        arguments = try reader.strings()
        environment = try reader.strings()
        directory = try reader.string()
        let hasUser = try reader.boolean()
        let identity = UserIdentity(uid: try reader.integer(), gid: try reader.integer())
        user = hasUser ? identity : nil
        guard let input = Input(rawValue: try reader.integer()) else { throw .invalidValue("input") }
        self.input = input
        let isTerminal = try reader.boolean()
        let columns: UInt16 = try reader.integer()
        let rows: UInt16 = try reader.integer()
        mode = isTerminal ? .terminal(columns: columns, rows: rows) : .pipes
        func optional(_ value: Int64) -> Int64? { value < 0 ? nil : value }
        limits = Limits(
            processes: optional(try reader.integer()),
            openFiles: optional(try reader.integer()),
            addressSpaceBytes: optional(try reader.integer())
        )
        oomScore = try reader.integer()
        guard let privileges = Privileges(rawValue: try reader.integer()) else { throw .invalidValue("privileges") }
        self.privileges = privileges
        reapsTree = try reader.boolean()
    }
}
