public import Base
import Crypto
import Database
import Domain
import FoundationEssentials

/// Variables of a workspace's programs, secrets among them: sealed each by itself and never shown again.
extension WorkspaceService {
    /// Of all values and names of one workspace together.
    static let variableBytes = 1 << 20

    /// Those that a person may see: the names.
    public func variableNames(_ id: WorkspaceID, organization: OrganizationID) async throws -> [String] {
        try await database.read { connection in
            guard try connection.first(WorkspaceStore.byID, id, organization) != nil else { throw Self.unknown(id) }
            return try connection.rows(WorkspaceVariableStore.list, id).map { try $0.text("name") }
        }
    }

    /// Names of those that it had on the server that it came from, and has no value of here.
    public func missingVariables(_ id: WorkspaceID) async throws -> [String] {
        try await database.read { connection in
            try connection.rows(WorkspaceVariableStore.missing, id).map { try $0.text("name") }
        }
    }

    /// Name and value of each, for whoever starts a program in the workspace: an execution, a terminal, an agent.
    public func variables(of id: WorkspaceID, organization: OrganizationID) async throws -> Secret<[String: String]> {
        let rows = try await database.read { connection in
            guard try connection.first(WorkspaceStore.byID, id, organization) != nil else { throw Self.unknown(id) }
            return try connection.rows(WorkspaceVariableStore.list, id).map {
                (try $0.text("name"), try $0.blob("value"))
            }
        }
        var variables: [String: String] = [:]
        for (name, value) in rows {
            let opened = try sealer.open(value, context: Self.context(id, name, organization))
            variables[name] = String(decoding: opened.reveal(), as: UTF8.self)
        }
        return Secret(variables)
    }

    /// Sets each of `values`; the others stay. Throws `invalidValue` naming the variable and never its value.
    public func setVariables(
        _ values: [String: Secret<String>],
        of id: WorkspaceID,
        organization: OrganizationID,
        by user: UserID
    ) async throws {
        var sealed: [(name: String, value: [UInt8])] = []
        var bytes = 0
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard VariableName.isValid(name), !name.hasPrefix("BERTH_") else {
                throw BerthError(
                    .invalidValue,
                    "'\(name.prefix(80))' is no name for a variable here",
                    field: "variables",
                    remedy: "use letters, digits and _, not beginning with a digit or with BERTH_"
                )
            }
            let plain = Array(value.reveal().utf8)
            guard !plain.contains(0) else {
                throw BerthError(.invalidValue, "the value contains the NUL character", field: "variables.\(name)")
            }
            bytes += plain.count + name.utf8.count
            sealed.append((name, try sealer.seal(Secret(plain), context: Self.context(id, name, organization))))
        }
        guard bytes <= Self.variableBytes else {
            throw BerthError(
                .tooLarge,
                "the variables are \(bytes) bytes together; \(Self.variableBytes) are allowed",
                field: "variables",
                remedy: "put large values into files of the workspace"
            )
        }
        try await changeVariables(id, organization, by: user) { [sealed] connection, now in
            for (name, value) in sealed {
                try connection.run(WorkspaceVariableStore.upsert, id, name, value, now)
                try connection.run(WorkspaceVariableStore.given, id, name)
            }
            return sealed.map(\.name)
        }
    }

    /// Throws `notFound` where there is none of that name.
    public func removeVariable(_ name: String, of id: WorkspaceID, organization: OrganizationID, by user: UserID)
        async throws
    {
        try await changeVariables(id, organization, by: user) { connection, _ in
            let count =
                try connection.run(WorkspaceVariableStore.delete, id, name)
                + connection.run(WorkspaceVariableStore.given, id, name)
            guard count > 0 else {
                throw BerthError(
                    .notFound,
                    "the workspace has no variable '\(name.prefix(80))'",
                    field: "name",
                    remedy: "see 'berth ws env ls'"
                )
            }
            return [name]
        }
    }

    private func changeVariables(
        _ id: WorkspaceID,
        _ organization: OrganizationID,
        by user: UserID,
        _ body: @escaping @Sendable (any SQLConnection, Timestamp) throws -> [String]
    ) async throws {
        struct Fact: Encodable { var names: [String] }
        let now = time.now
        try await feed.transaction(organization: organization) { transaction in
            guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else { throw Self.unknown(id) }
            try Self.checkOwned(id, organization, in: transaction)
            let record = try WorkspaceStore.record(row)
            let names = try body(transaction, now)
            transaction.record(
                NewEvent(
                    "workspace.variables_changed",
                    subject: id,
                    ownerID: record.ownerID,
                    actorID: user,
                    payload: try JSONColumn.text(Fact(names: names)),
                    at: now
                )
            )
        }
    }

    private static func context(_ id: WorkspaceID, _ name: String, _ organization: OrganizationID) -> SealContext {
        SealContext(organizationID: organization, purpose: "workspace.variable", subject: "\(id)/\(name)")
    }

    func sealed(_ credentials: Secret<[UInt8]>, of id: WorkspaceID, _ organization: OrganizationID) throws -> [UInt8] {
        try sealer.seal(credentials, context: Self.credentialContext(id, organization))
    }

    /// What was given for its remote when it was made; nil: nothing.
    public func credentials(of id: WorkspaceID, organization: OrganizationID) async throws -> Secret<[UInt8]>? {
        let row = try await database.read { try $0.first(WorkspaceStore.credentials, id, organization) }
        guard let sealed = try row?.optionalBlob("credentials_sealed") else { return nil }
        return try sealer.open(sealed, context: Self.credentialContext(id, organization))
    }

    private static func credentialContext(_ id: WorkspaceID, _ organization: OrganizationID) -> SealContext {
        SealContext(organizationID: organization, purpose: "workspace.credentials", subject: id)
    }
}

/// The rows of `workspace_variables`.
enum WorkspaceVariableStore {
    static let list: SQL = "SELECT name, value FROM workspace_variables WHERE workspace_id = $1 ORDER BY name"
    static let upsert: SQL = """
        INSERT INTO workspace_variables (workspace_id, name, value, updated_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (workspace_id, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
        """
    static let delete: SQL = "DELETE FROM workspace_variables WHERE workspace_id = $1 AND name = $2"

    static let missing: SQL = """
        SELECT name FROM workspace_missing_variables WHERE workspace_id = $1 ORDER BY name
        """
    static let given: SQL = "DELETE FROM workspace_missing_variables WHERE workspace_id = $1 AND name = $2"
    /// With the workspace itself.
    static let deleteAll: SQL = "DELETE FROM workspace_variables WHERE workspace_id = $1"
    static let forgetMissing: SQL = "DELETE FROM workspace_missing_variables WHERE workspace_id = $1"

    static let statements = [list, upsert, delete, missing, given, deleteAll, forgetMissing]
}
