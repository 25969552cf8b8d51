import API
import Base
import Domain
import Environments
import Executions
import Transport

/// The documents' own procedures about machines (origins 2.2, 2.3 and 3.8), on the same services as the API.
extension ServerCore {
    func documented(_ context: RequestContext) async throws -> HTTPResponse {
        let call = try await DocumentedProcedure(context, limit: configuration.maximumBodyBytes)
        return try DocumentedProcedure.answer(try await data(context, call, try context.principal))
    }

    private func data(_ context: RequestContext, _ call: DocumentedProcedure, _ principal: Principal) async throws
        -> JSONValue
    {
        let organization = principal.organizationID
        switch context.route.id {
        case .vmListRegions: return .array(providers.providers().map { .string($0.rawValue) })
        case .vmListFlavors: return .array(Domain.Flavour.all.map(Self.flavor))
        case .vmGetMine:
            return try await environments.mine(organization, user: principal.userID).map(Self.documentedMachine)
                ?? .null
        case .vmGetLogs: return try await provisionLogs(principal)
        case .vmProvision: return Self.documentedMachine(try await provision(call, principal))
        case .vmStart, .vmStop, .vmDestroyMine:
            try call.requireNone()
            guard let mine = try await environments.mine(organization, user: principal.userID) else {
                throw Self.noneYet
            }
            let wish: DesiredState =
                switch context.route.id {
                case .vmStart: .running
                case .vmStop: .stopped
                default: .destroyed
                }
            return Self.documentedMachine(try await want(wish, mine.id, by: principal, visibleTo: principal.userID))
        case .vmExecute: return try await execute(call, principal)
        case .vmGetAll: return try await allMachines(organization)
        case .vmDestroy:
            let id = try EnvironmentID(try call.required("vmId"))
            return Self.documentedMachine(try await want(.destroyed, id, by: principal, visibleTo: nil))
        case .vmCreate, .cloudWorkspaceCreate: return try await createMachine(call, principal)
        default: return try await cloudWorkspace(context.route.id, call, principal)
        }
    }

    private func cloudWorkspace(_ route: RouteID, _ call: DocumentedProcedure, _ principal: Principal) async throws
        -> JSONValue
    {
        let (organization, user) = (principal.organizationID, principal.visibleUser)
        if route == .cloudWorkspaceList {
            let all = try await environments.list(organization, visibleTo: user, limit: 500)
            return .array(all.reversed().map(Self.cloudWorkspace))
        }
        let id = try EnvironmentID(try call.required("workspaceId"))
        let wish: DesiredState? =
            switch route {
            case .cloudWorkspacePause: .paused
            case .cloudWorkspaceResume: .running
            case .cloudWorkspaceStop: .stopped
            case .cloudWorkspaceDelete: .destroyed
            default: nil
            }
        guard let wish else {
            return Self.cloudWorkspace(try await environments.get(id, organization: organization, visibleTo: user))
        }
        return Self.cloudWorkspace(try await want(wish, id, by: principal, visibleTo: user))
    }

    private func want(_ wish: DesiredState, _ id: EnvironmentID, by principal: Principal, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        let (organization, user) = (principal.organizationID, principal.userID)
        return switch wish {
        case .running: try await environments.start(id, organization: organization, by: user, visibleTo: visibleTo)
        case .paused: try await environments.pause(id, organization: organization, by: user, visibleTo: visibleTo)
        case .stopped: try await environments.stop(id, organization: organization, by: user, visibleTo: visibleTo)
        case .destroyed:
            try await environments.destroy(id, organization: organization, by: user, visibleTo: visibleTo)
        }
    }

    private func provisionLogs(_ principal: Principal) async throws -> JSONValue {
        guard let mine = try await environments.mine(principal.organizationID, user: principal.userID) else {
            return .array([])
        }
        let entries = try await environments.provisioningLog(
            mine.id,
            organization: principal.organizationID,
            visibleTo: principal.userID
        ).entries
        return .array(
            entries.map {
                .object([
                    "timestamp": JSONValue($0.at), "message": .string($0.message), "level": .string($0.level.rawValue),
                ])
            }
        )
    }

    /// One that exists is answered as it is; else the default size unless sizes are given.
    private func provision(_ call: DocumentedProcedure, _ principal: Principal) async throws -> EnvironmentRecord {
        var limits = ResourceLimits.standard
        var isGiven = false
        if let vcpus = try call.integer("vcpus", in: 1...16) { (limits.cpus, isGiven) = (Double(vcpus), true) }
        if let megabytes = try call.integer("memoryMb", in: 1024...1_048_576) {
            (limits.memoryBytes, isGiven) = (megabytes << 20, true)
        }
        if let gigabytes = try call.integer("diskGb", in: 10...500) {
            (limits.diskBytes, isGiven) = (gigabytes << 30, true)
        }
        let spec = environmentSpec(provider: nil, limits: isGiven ? limits : nil, policy: nil, network: nil)
        return try await environments.personal(principal.organizationID, user: principal.userID, spec: spec)
    }

    private func allMachines(_ organization: OrganizationID) async throws -> JSONValue {
        let overview = try await overview(of: organization)
        let statistics = overview.statistics
        func count(_ states: EnvironmentState...) -> JSONValue {
            JSONValue(states.reduce(0) { $0 + (statistics.byState[$1.rawValue] ?? 0) })
        }
        return .object([
            "vms": .array(try await environments.all(organization).map(Self.documentedMachine)),
            "hosts": .array(
                overview.hosts.map {
                    .object([
                        "id": .string($0.serverId.text), "address": JSONValue($0.address), "status": "ready",
                        "currentVms": JSONValue($0.environments),
                    ])
                }
            ),
            "stats": .object([
                "total": JSONValue(statistics.total), "running": count(.running),
                "stopped": count(.stopped, .stopping, .paused, .pausing),
                "provisioning": count(.requested, .provisioning, .starting), "error": count(.error),
                "totalVcpus": .number(statistics.cpus), "runningVcpus": .number(statistics.runningCpus),
                "totalMemoryMb": .integer(statistics.memoryBytes >> 20),
                "runningMemoryMb": .integer(statistics.runningMemoryBytes >> 20),
            ]),
        ])
    }
}

// Code in the caller's machine, and machines with a repository.
extension ServerCore {
    private func execute(_ call: DocumentedProcedure, _ principal: Principal) async throws -> JSONValue {
        let made = try await launchCode(call, principal)
        let answer = try await executed(try await ended(made.id, by: principal, within: .seconds(120)))
        return .object([
            "stdout": .string(answer.stdout), "stderr": .string(answer.stderr + (answer.failureText ?? "")),
            "exitCode": .integer(Int64(answer.exitCode ?? 1)), "executionId": .string(made.id.text),
        ])
    }

    /// Started or woken first, and made where there is none yet.
    func launchCode(_ call: DocumentedProcedure, _ principal: Principal) async throws -> ExecutionRecord {
        var request = CreateExecution()
        request.agent = .command
        request.command = ["sh", "-c", try call.required("code")]
        return try await launch(request, key: nil, by: principal)
    }

    /// A machine of its own, with the repository checked out on the branch (origins 2.3).
    private func createMachine(_ call: DocumentedProcedure, _ principal: Principal) async throws -> JSONValue {
        let repository = try call.text("repoUrl") ?? call.text("repositoryUrl") ?? call.required("repo")
        _ = try RepositoryURL(repository, field: "repoUrl")
        let branch = try call.text("branch")
        if let branch { _ = try BranchName(branch, field: "branch") }
        let minutes = try call.integer("idleTimeoutSeconds", in: 300...28_800).map { Int($0 / 60) }
        let autoStop = try call.integer("autoStopMinutes", in: 5...480).map { Int($0) } ?? minutes
        let record = try await environments.create(
            NewEnvironment(
                organizationID: principal.organizationID,
                ownerID: principal.userID,
                name: try call.text("workspaceName") ?? call.text("name"),
                spec: environmentSpec(provider: nil, limits: nil, policy: nil, network: nil),
                autoStopMinutes: autoStop ?? 30
            )
        )
        var request = CreateExecution()
        request.environment = record.id.text
        request.agent = .command
        request.command = ["true"]
        request.repository = CreateExecution.Checkout(url: repository, base: branch)
        let execution = try await launch(request, key: nil, by: principal)
        return .object([
            "vmId": .string(record.id.text), "id": .string(record.id.text),
            "status": .string(Self.workspaceStatus(record.state)), "name": .string(record.name),
            "workspaceId": JSONValue(execution.workspaceID?.text), "executionId": .string(execution.id.text),
        ])
    }

    private static func flavor(_ flavour: Domain.Flavour) -> JSONValue {
        .object([
            "id": .string(flavour.name), "name": .string(flavour.name),
            "vcpus": .number(flavour.limits.cpus ?? 0), "ram": .integer((flavour.limits.memoryBytes ?? 0) >> 30),
            "disk": .integer((flavour.limits.diskBytes ?? 0) >> 30),
        ])
    }

    /// As the documents' table `user_vms` has it.
    private static func documentedMachine(_ record: EnvironmentRecord) -> JSONValue {
        let status =
            switch record.state {
            case .requested: "pending"
            case .provisioning, .starting: "provisioning"
            case .running: "running"
            case .pausing, .paused, .stopping, .stopped: "stopped"
            case .destroying, .destroyed: "destroying"
            case .error: "error"
            }
        return .object([
            "id": .string(record.id.text), "userId": JSONValue(record.ownerID?.text), "name": .string(record.name),
            "status": .string(status), "message": JSONValue(record.reason),
            "vcpus": record.spec.limits.cpus.map { .number($0) } ?? .null,
            "memoryMb": record.spec.limits.memoryBytes.map { .integer($0 >> 20) } ?? .null,
            "diskGb": record.spec.limits.diskBytes.map { .integer($0 >> 30) } ?? .null,
            "autoStop": .bool(record.autoStopMinutes != nil), "autoStopMinutes": JSONValue(record.autoStopMinutes),
            "lastActivityAt": JSONValue(record.lastActiveAt), "createdAt": JSONValue(record.createdAt),
        ])
    }

    private static func cloudWorkspace(_ record: EnvironmentRecord) -> JSONValue {
        .object([
            "id": .string(record.id.text), "name": .string(record.name), "vmId": .string(record.id.text),
            "status": .string(workspaceStatus(record.state)), "statusMessage": JSONValue(record.reason),
            "creatorId": JSONValue(record.ownerID?.text), "autoStopMinutes": JSONValue(record.autoStopMinutes),
            "lastActiveAt": JSONValue(record.lastActiveAt), "createdAt": JSONValue(record.createdAt),
        ])
    }

    /// The five states that the documents know.
    private static func workspaceStatus(_ state: EnvironmentState) -> String {
        switch state {
        case .requested, .provisioning, .starting: "provisioning"
        case .running: "running"
        case .pausing, .paused: "paused"
        case .stopping, .stopped, .destroying, .destroyed: "stopped"
        case .error: "error"
        }
    }
}

extension ExecutedCode {
    /// Why it never ran, or ran to no end of its own; for a form that has no other place for it.
    fileprivate var failureText: String? {
        guard exitCode == nil else { return nil }
        return failure?.message ?? (status.hasEnded ? nil : "still \(status); see execution \(executionId)")
    }
}
