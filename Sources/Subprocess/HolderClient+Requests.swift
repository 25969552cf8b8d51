internal import Base
public import HolderProtocol

extension HolderClient {
    /// Starts a child, or finds the one that already has this id. `input` goes with `request.input == .descriptor` and
    /// stays the caller's to close. Throws `program_missing`, `program_not_executable`, `directory_unusable`,
    /// `spawn_failed`, `invalid_request`.
    public func spawn(_ request: SpawnRequest, input: Int32? = nil) async throws -> Child {
        guard (request.input == .descriptor) == (input != nil) else {
            throw BerthError(.invalidRequest, "an input descriptor goes with input '.descriptor' and only with it")
        }
        let child = try Self.child(await ask(.spawn(request), descriptor: input))
        noteStart(of: child.status)
        return child
    }

    /// Every child that was not forgotten, in the order of their start.
    public func list() async throws -> [ChildStatus] {
        let answer = try await ask(.list)
        guard case .children(let children) = answer.reply else { throw Self.unexpected(answer) }
        return children
    }

    /// A known child with fresh duplicates of its descriptors. Throws `not_found`.
    public func child(_ id: String) async throws -> Child {
        try Self.child(await ask(.descriptors(id: id)))
    }

    /// Sends a signal. A child that has ended is left alone.
    public func signal(_ id: String, _ number: Int32, scope: SignalScope = .group) async throws {
        try await perform(.signal(id: id, number: number, scope: scope))
    }

    /// SIGTERM to the child's whole tree and, after `grace`, SIGKILL to what is left. Returns at once; the exit tells of
    /// the end. Again with a shorter grace shortens it.
    public func terminate(_ id: String, grace: Duration) async throws {
        try await perform(.terminate(id: id, graceMs: Int32(clamping: grace.wholeMilliseconds)))
    }

    public func resize(_ id: String, columns: UInt16, rows: UInt16) async throws {
        try await perform(.resize(id: id, columns: columns, rows: rows))
    }

    /// Closes the holder's end of an input pipe; the child sees the end of its input once the worker's copies are closed.
    public func closeInput(_ id: String) async throws { try await perform(.closeInput(id: id)) }

    /// Lets the holder drop an ended child. Only after its exit and the end of its output are stored durably.
    public func forget(_ id: String) async throws {
        try await perform(.forget(id: id))
        dropExit(of: id)
    }

    /// Returns when the holder has answered.
    public func ping() async throws { try await perform(.ping) }

    private func perform(_ request: Request) async throws {
        let answer = try await ask(request)
        guard case .done = answer.reply else { throw Self.unexpected(answer) }
    }

    private static func child(_ answer: Answer) throws -> Child {
        guard case .child(let status, let roles) = answer.reply, roles.count == answer.descriptors.count else {
            throw unexpected(answer)
        }
        return Child(status: status, descriptors: ChildDescriptors(Array(zip(roles, answer.descriptors))))
    }
}
