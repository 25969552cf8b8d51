import Base
import Domain
import Executions

// What a principal may do with executions: its own, or everyone's for those who manage the organization.
extension ExecutionService {
    func get(_ id: ExecutionID, by principal: Principal) async throws -> ExecutionRecord {
        try await get(id, organization: principal.organizationID, visibleTo: principal.visibleUser)
    }

    /// One that has ended is left as it is.
    func cancel(_ id: ExecutionID, by principal: Principal) async throws -> ExecutionRecord {
        do {
            return try await cancel(
                id,
                organization: principal.organizationID,
                by: principal.userID,
                visibleTo: principal.visibleUser
            )
        } catch let error as BerthError where error.code == .illegalTransition {
            let record = try await get(id, by: principal)
            guard record.state.isTerminal else { throw error }
            return record
        }
    }

    func list(_ filter: ExecutionFilter, after: ExecutionID?, limit: Int, by principal: Principal) async throws
        -> ExecutionPage
    {
        try await list(
            filter,
            organization: principal.organizationID,
            visibleTo: principal.visibleUser,
            after: after,
            limit: limit
        )
    }

    /// Stored bytes of the attempt that counts; offsets count stored bytes.
    func output(of record: ExecutionRecord, _ stream: OutputStream, from offset: Int64, limit: Int) async throws
        -> OutputSlice
    {
        try await readOutput(AttemptKey(record.id, record.attempt), stream, from: offset, limit: limit)
    }
}

extension ExecutionRecord {
    func mark(of stream: OutputStream) -> OutputMark? { stream == .stdout ? report?.stdout : report?.stderr }
}
