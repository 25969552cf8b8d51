internal import Base
internal import Domain
internal import Glibc
internal import HolderProtocol
internal import Subprocess
internal import Terminals
internal import WorkerProtocol

/// What is started on a terminal: program, directory, variables.
struct TerminalLaunch: Sendable {
    let arguments: [String]
    let directory: String
    /// Of the workspace and its repository.
    private let variables: [String: String]

    init(_ wish: TerminalCreation, layout: EnvironmentLayout) throws(BerthError) {
        arguments = wish.command ?? [layout.agent.shell, "-l"]
        guard let program = arguments.first, !program.isEmpty else {
            throw BerthError(.invalidValue, "there is no program to start", field: "command")
        }
        for argument in arguments where argument.utf8.contains(0) {
            throw BerthError(.invalidValue, "an argument holds a NUL byte", field: "command")
        }
        let checkout = wish.workspaceDirectory.map { $0.hasPrefix("/") ? $0 : "\(layout.workspaces)/\($0)" }
        let home = checkout ?? layout.agent.home
        let repository = checkout.map { CheckoutFiles.variables(of: $0, workspace: wish.workspaceId) } ?? [:]
        variables = repository.merging(wish.variables ?? [:]) { _, new in new }
        switch wish.directory {
        case nil: directory = home
        case let path? where path.hasPrefix("/"): directory = path
        case let path?: directory = "\(home)/\(path)"
        }
        guard !directory.utf8.contains(0) else {
            throw BerthError(.invalidValue, "the directory holds a NUL byte", field: "directory")
        }
    }

    func request(_ record: TerminalRecord, layout: EnvironmentLayout) -> SpawnRequest {
        var variables = layout.baseVariables.merging(self.variables) { _, new in new }
        variables["TERM"] = "xterm-256color"
        variables["COLORTERM"] = "truecolor"
        variables["SHELL"] = layout.agent.shell
        variables["BERTH_TERMINAL_ID"] = record.id.text
        variables["BERTH_WORKSPACE_ID"] = record.workspaceId?.text
        return SpawnRequest(
            id: record.id.text,
            arguments: arguments,
            environment: variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            directory: directory,
            user: layout.agentIdentity,
            mode: .terminal(columns: record.size.columns, rows: record.size.rows),
            privileges: layout.agentPrivileges
        )
    }

    /// The failure with the field that it is about.
    func explained(_ error: BerthError) -> BerthError {
        var error = error
        switch error.code {
        case .programMissing, .programNotExecutable:
            error.message = "'\(arguments[0])' cannot be started here: \(error.message)"
            error.code = .invalidValue
            error.field = "command"
            error.remedy = "give a program of the environment"
        case .directoryUnusable:
            error.message = "the directory '\(directory)' cannot be used"
            error.code = .invalidValue
            error.field = "directory"
            error.remedy = "name one that exists in the environment"
        default: break
        }
        return error
    }
}
