import Base
import Domain
import Executions

/// What the event streams of one execution read. Whoever reads has been allowed to see the execution.
protocol ExecutionReading: Sendable {
    /// `hear` is called for everything that is stored from now on, on any thread, until `stopListening`.
    func listen(_ hear: @escaping @Sendable (ExecutionNews) -> Void) -> UInt64
    func stopListening(_ number: UInt64)
    func snapshot() async throws -> ExecutionSnapshot
    /// What happened after `seq`, oldest first; all of it.
    func history(after seq: Int64) async throws -> [ExecutionEvent]
    /// Stored bytes of an attempt; none past the end.
    func output(of attempt: Int, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws
        -> OutputSlice
}

struct StoredExecutionReading: ExecutionReading {
    private let executions: ExecutionService
    private let id: ExecutionID
    private let organization: OrganizationID
    private let bell: ExecutionBell

    init(_ executions: ExecutionService, _ id: ExecutionID, _ organization: OrganizationID) {
        self.executions = executions
        self.id = id
        self.organization = organization
        bell = executions.bell(for: id)
    }

    func listen(_ hear: @escaping @Sendable (ExecutionNews) -> Void) -> UInt64 { bell.listen(hear) }
    func stopListening(_ number: UInt64) { bell.stopListening(number) }

    func snapshot() async throws -> ExecutionSnapshot {
        try await executions.snapshot(id, organization: organization, visibleTo: nil)
    }

    func history(after seq: Int64) async throws -> [ExecutionEvent] {
        let page = 1000
        var all: [ExecutionEvent] = []
        while true {
            let part = try await executions.history(
                id,
                organization: organization,
                after: all.last?.seq ?? seq,
                limit: page
            )
            all += part
            if part.count < page { return all }
        }
    }

    func output(of attempt: Int, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws
        -> OutputSlice
    {
        try await executions.readOutput(AttemptKey(id, attempt), stream, from: offset, limit: limit)
    }
}
