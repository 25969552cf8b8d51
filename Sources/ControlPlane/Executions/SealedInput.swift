import Base
import Crypto
import Database
import Domain
import FoundationEssentials
import WorkerProtocol

/// The parts of an execution that are sealed at rest.
struct SealedInput: Sendable {
    var title: [UInt8]
    var prompt: [UInt8]
    var command: [UInt8]?
    var secrets: [UInt8]?
}

/// Those parts, apart from the title, as the row beside the execution's holds them.
struct SealedRow: Sendable {
    var prompt: [UInt8]
    var command: [UInt8]?
    var secrets: [UInt8]?

    /// nil: there is no such row.
    init?(_ id: ExecutionID, _ organization: OrganizationID, in connection: any SQLConnection) throws {
        guard let row = try connection.first(ExecutionStore.input, id, organization) else { return nil }
        try self.init(row)
    }

    init(_ row: Row) throws {
        prompt = try row.blob("prompt_sealed")
        command = try row.optionalBlob("command_sealed")
        secrets = try row.optionalBlob("secrets_sealed")
    }

    var byteCount: Int { prompt.count + (command?.count ?? 0) + (secrets?.count ?? 0) }
}

/// Variables and logins as they are sealed together.
struct ExecutionSecrets: Codable, Sendable {
    var env: [String: String]
    var git: [ServerMessage.GitCredential]
    var ssh: ServerMessage.SSHCredential?
}

extension ExecutionSecrets {
    init(_ request: NewExecution) {
        self.init(
            env: request.environment.reveal(),
            git: request.gitCredentials.reveal(),
            ssh: request.ssh?.reveal()
        )
    }
}

/// Seals and opens those parts, each bound to its row.
struct InputSealing: Sendable {
    let sealer: Sealer

    func seal(_ request: NewExecution, id: ExecutionID) throws -> SealedInput {
        let secrets = ExecutionSecrets(request)
        let isBare = secrets.env.isEmpty && secrets.git.isEmpty && secrets.ssh == nil
        return SealedInput(
            title: try seal(Array(Self.title(request).utf8), "title", id, request.organizationID),
            prompt: try seal(Array(request.prompt.utf8), "prompt", id, request.organizationID),
            command: try request.command.map {
                try seal(Array(try JSONEncoder().encode($0)), "command", id, request.organizationID)
            },
            secrets: isBare
                ? nil : try seal(Array(try JSONEncoder().encode(secrets)), "secrets", id, request.organizationID)
        )
    }

    func open(_ sealed: [UInt8], _ part: String, _ id: ExecutionID, _ organization: OrganizationID) throws -> [UInt8] {
        try sealer.open(sealed, context: context(part, id, organization)).reveal()
    }

    private func seal(_ bytes: [UInt8], _ part: String, _ id: ExecutionID, _ organization: OrganizationID) throws
        -> [UInt8]
    {
        try sealer.seal(Secret(bytes), context: context(part, id, organization))
    }

    private func context(_ part: String, _ id: ExecutionID, _ organization: OrganizationID) -> SealContext {
        SealContext(organizationID: organization, purpose: "execution.\(part)", subject: id)
    }

    static func title(_ request: NewExecution) -> String {
        if let command = request.command { return String(command.joined(separator: " ").prefix(200)) }
        let line = request.prompt.split(whereSeparator: \.isNewline).first { !$0.allSatisfy(\.isWhitespace) }
        return String((line ?? "").trimmed.prefix(200))
    }
}
