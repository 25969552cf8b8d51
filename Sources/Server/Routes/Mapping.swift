import API
import Base
import Domain
import Executions
import WorkerProtocol
import Workers

// From the services' records to what the API shows, and back.

extension API.Execution {
    init(_ record: ExecutionRecord) {
        let caps = record.spec.caps
        self.init(
            id: record.id,
            status: ExecutionStatus(rawValue: record.state.rawValue),
            agent: record.spec.agent,
            attempt: record.attempt,
            title: record.title,
            createdAt: record.createdAt,
            config: RunConfig(
                timeoutMs: caps.timeoutMs,
                maxOutputBytes: caps.maxOutputBytes,
                maxTurns: caps.maxTurns,
                maxCostUsd: caps.maxCostUSD
            )
        )
        personaId = record.personaID
        environmentId = record.environmentID
        workspaceId = record.workspaceID
        model = record.report?.model ?? record.spec.model
        agentSessionId = record.report?.agentSessionID
        exitCode = record.exitCode
        failure = record.failure
        cancelledBy = record.cancelledBy
        usage = record.report?.verdict?.usage
        durationMs = record.report?.durationMs
        assignedAt = record.assignedAt
        startedAt = record.startedAt
        endedAt = record.endedAt
        report = record.report
        failures = record.failures > 0 ? record.failures : nil
        notBefore = record.notBefore
        retryOf = record.retryOf
    }
}

extension API.WorkerStatus {
    init(_ record: WorkerRecord) {
        self.init(
            id: record.name,
            environmentId: record.environmentID,
            version: record.version ?? "",
            capabilities: record.capabilities,
            slots: record.slots,
            executions: record.executions.map(\.text),
            isConnected: record.isConnected,
            connectedAt: record.connectedAt,
            lastHeardAt: record.lastHeardAt
        )
    }
}

extension ServerMessage.SSHCredential {
    init(_ login: CreateExecution.SSHLogin) { self.init(privateKey: login.privateKey, knownHosts: login.knownHosts) }
}

extension ServerMessage.GitCredential {
    init(_ login: CreateExecution.GitLogin) {
        self.init(scheme: login.scheme, host: login.host, username: login.username, password: login.password)
    }
}
