public import AgentProtocol
public import Base
public import EventLoop
internal import Glibc
public import HolderProtocol
public import Subprocess

/// Runs short programs as children of the holder, with their output in memory.
public struct HolderRunner: ProcessRunner {
    private let holder: HolderClient
    private let loop: EventLoop
    private let ids: IDSource
    private let worker: Rights
    private let agent: Rights

    /// Whose rights a child gets.
    public struct Rights: Sendable, Equatable {
        /// nil is the holder's own user.
        public var user: UserIdentity?
        public var privileges: Privileges

        public init(user: UserIdentity?, privileges: Privileges) {
            self.user = user
            self.privileges = privileges
        }
    }

    public init(holder: HolderClient, loop: EventLoop, ids: IDSource, worker: Rights, agent: Rights) {
        self.holder = holder
        self.loop = loop
        self.ids = ids
        self.worker = worker
        self.agent = agent
    }

    public func run(_ command: ProcessCommand) async throws -> ProcessResult {
        let rights = command.identity == .worker ? worker : agent
        let id = "run:\(ids.make(RequestKind.self))"
        let child = try await spawn(command, id: id, rights: rights)
        do {
            let result = try await withDeadline(
                command.deadline,
                time: loop.time,
                what: "'\(command.arguments.prefix(3).joined(separator: " "))'"
            ) {
                try await collect(child, of: id, command: command)
            }
            try? await holder.forget(id)
            return result
        } catch {
            // Also when this task is cancelled: the program must be gone before the caller goes on.
            await loop.spawn { await end(id) }.wait()
            throw error
        }
    }

    private func spawn(_ command: ProcessCommand, id: String, rights: Rights) async throws -> Child {
        try await holder.spawn(
            SpawnRequest(
                id: id,
                arguments: command.arguments,
                environment: command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
                directory: command.directory,
                user: rights.user,
                privileges: rights.privileges
            )
        )
    }

    private func collect(_ child: Child, of id: String, command: ProcessCommand) async throws -> ProcessResult {
        async let output = Self.read(
            child.descriptors[.output],
            loop: loop,
            limit: command.outputLimit,
            keepsEnd: false
        )
        async let errors = Self.read(child.descriptors[.error], loop: loop, limit: 64 << 10, keepsEnd: true)
        let exit = try await holder.exit(of: id)
        return ProcessResult(end: ProcessEnd(exit.cause), output: try await output, errors: try await errors)
    }

    private func end(_ id: String) async {
        try? await holder.terminate(id, grace: .milliseconds(200))
        _ = try? await holder.exit(of: id)
        try? await holder.forget(id)
    }

    private static func read(_ file: CInt?, loop: EventLoop, limit: Int, keepsEnd: Bool) async throws -> [UInt8] {
        guard let file else { return [] }
        let watched = Descriptor(file, loop: loop)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        do {
            while true {
                let count = Glibc.read(file, &buffer, buffer.count)
                if count > 0 {
                    bytes += buffer[..<count]
                    if keepsEnd, bytes.count > 2 * limit { bytes.removeFirst(bytes.count - limit) }
                    if !keepsEnd, bytes.count > limit {
                        throw BerthError(.tooLarge, "a program wrote more than \(limit) bytes")
                    }
                } else if count == 0 {
                    break
                } else if errno == EAGAIN {
                    try await watched.readable()
                } else if errno != EINTR {
                    throw BerthError(.internal, "a program's output cannot be read", detail: "errno \(errno)")
                }
            }
            await watched.close()
        } catch {
            await watched.close()
            throw error
        }
        return bytes
    }
}

extension ProcessEnd {
    public init(_ cause: Exit.Cause) {
        switch cause {
        case .code(let code): self = .exited(code)
        case .signal(let number): self = .signalled(number)
        case .lost: self = .signalled(SIGKILL)
        }
    }
}
