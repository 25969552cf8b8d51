import API
import Base
import Domain
import Environments
import FoundationEssentials
import Onboarding
import Relay
import Transport
import WorkerProtocol

/// `/v1/setup`. The server asks whether there is a login; the login itself is typed on a terminal, whose bytes never come
/// to rest here.
extension ServerCore {
    private static let checkTime = Duration.seconds(90)

    func setupGet(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let environment = try await environments.mine(principal.organizationID, user: principal.userID)
        let known = try await setups.find(principal.organizationID, user: principal.userID)
        return try Self.json(try Self.setup(environment?.id, known))
    }

    func setupBegin(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let record = try await reached(
            try await environments.personal(principal.organizationID, user: principal.userID)
        )
        let known = try await setups.find(principal.organizationID, user: principal.userID)
        return try Self.json(try Self.setup(record.id, known))
    }

    func setupCheck(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let body: CheckSetup = try await context.body(limit: configuration.maximumBodyBytes)
        let record = try await reached(
            try await environments.personal(principal.organizationID, user: principal.userID)
        )
        let found = try await channels(of: record).call(LoginCheck(), until: time.uptime + Self.checkTime)
        let skipped = Set(body.skip ?? [])
        for tool in skipped.sorted() where !found.contains(where: { $0.tool == tool }) {
            throw BerthError(
                .invalidValue,
                "there is no tool '\(tool.prefix(40))' to skip",
                field: "skip",
                remedy: "tools: \(found.map(\.tool).joined(separator: ", "))"
            )
        }
        let logins = found.map { login in
            ToolLogin(
                tool: login.tool,
                state: login.isLoggedIn
                    ? .loggedIn : skipped.contains(login.tool) ? .skipped : login.isInstalled ? .loggedOut : .missing,
                command: login.command
            )
        }
        let isComplete = logins.allSatisfy { $0.state == .loggedIn || $0.state == .skipped }
        let known = try await setups.note(
            String(decoding: try JSONBody.encode(logins), as: UTF8.self),
            isComplete: isComplete,
            organization: principal.organizationID,
            user: principal.userID
        )
        return try Self.json(try Self.setup(record.id, known))
    }

    private static func setup(_ environment: EnvironmentID?, _ record: SetupService.Record?) throws -> Setup {
        Setup(
            environmentId: environment,
            logins: try record.map { try JSONBody.decode([ToolLogin].self, from: Array($0.logins.utf8)) } ?? [],
            checkedAt: record?.checkedAt,
            completedAt: record?.completedAt
        )
    }
}
