import API
import Base
import Bus
import Domain
import Executions

/// What the exec topic asks for, run as a request of the API would be.
struct BusRequests: ExecutionRequesting {
    let core: ServerCore

    func run(_ request: BusRequest, by principal: Principal) async throws -> RequestedExecution {
        let origin = ExecutionOrigin(message: request.message, requestedID: request.requestedID)
        // Nothing is made for a message that comes again.
        if let known = try await core.executions.execution(from: origin, organization: principal.organizationID) {
            return RequestedExecution(id: known, isNew: false)
        }
        try principal.require(.run)
        guard let schema = RouteTable.route(.executionCreate)?.body else {
            throw BerthError(.internal, "the route declares no body")
        }
        let body = try JSONBody.decode(
            CreateExecution.self,
            from: Array(request.body.text.utf8),
            schema: schema
        )
        let namesPlace =
            body.environment != nil || body.provider != nil || body.network != nil || body.limits != nil
            || body.repository != nil
        let record = try await core.launch(
            body,
            key: nil,
            by: principal,
            onStandingWorker: core.configuration.usesStandingWorkers && !namesPlace,
            origin: origin
        )
        return RequestedExecution(id: record.id, isNew: true)
    }
}

/// Stored output, for the outbox.
struct StoredOutput: StoredOutputReading {
    let executions: ExecutionService

    func length(_ key: AttemptKey, _ stream: Domain.OutputStream) async throws -> Int64 {
        try await executions.readOutput(key, stream, from: 0, limit: 0).storedBytes
    }

    func read(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    {
        try await executions.readOutput(key, stream, from: offset, limit: limit).bytes
    }
}
