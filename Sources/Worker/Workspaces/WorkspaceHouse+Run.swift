internal import Base
internal import BerthCore
internal import Domain
internal import Glibc
internal import WorkerProtocol

// The program that people want to see.
extension WorkspaceHouse {
    /// Where a free port goes in the script.
    private static let portMark = "{port}"

    func run(_ call: WorkspaceRunCall) async throws -> RunScriptStatus {
        let path = try checkout(call.directory)
        let configuration: WorkspaceConfiguration
        switch call.action {
        case .start: configuration = try CheckoutFiles.configuration(of: path).0
        case .stop, .look: configuration = (try? CheckoutFiles.configuration(of: path))?.0 ?? WorkspaceConfiguration()
        }
        let known = await terminals.latest(named: Self.name(call))
        switch call.action {
        case .look: break
        case .stop:
            if let known, known.endedAt == nil { try await terminals.endAndWait(known.id) }
        case .start:
            if let known, known.endedAt == nil {
                throw BerthError(
                    .conflict,
                    "the run script runs already",
                    remedy: "see 'berth ws show', or stop it with 'berth ws stop'"
                )
            }
            try await start(call, configuration, known)
        }
        return await status(call, configuration)
    }

    private static func name(_ call: WorkspaceRunCall) -> String { "run.\(call.workspaceId)" }

    private func start(_ call: WorkspaceRunCall, _ configuration: WorkspaceConfiguration, _ known: TerminalStatus?)
        async throws
    {
        guard var script = call.command ?? configuration.scripts.run else {
            throw BerthError(
                .notFound,
                "the repository names no run script",
                field: "scripts.run",
                remedy:
                    "write it into \(WorkspaceConfiguration.fileName), or give a command: berth ws run NAME -- COMMAND"
            )
        }
        var variables = call.variables ?? [:]
        if script.contains(Self.portMark) {
            guard let port = configuration.ports.first ?? ListeningPorts.free() else {
                throw BerthError(.unavailable, "there is no free port in the environment", isRetryable: true)
            }
            script = script.replacing(Self.portMark, with: "\(port)")
            variables["PORT"] = variables["PORT"] ?? "\(port)"
        }
        // The one before is looked at no more: its name is needed.
        if let known { _ = try await terminals.end(TerminalEnding(id: known.id, remove: true)) }
        _ = try await terminals.create(
            TerminalCreation(
                id: call.terminalId,
                name: Self.name(call),
                workspaceId: call.workspaceId,
                workspaceDirectory: call.directory,
                command: ["/bin/sh", "-c", script],
                variables: variables
            )
        )
    }

    private func status(_ call: WorkspaceRunCall, _ configuration: WorkspaceConfiguration) async -> RunScriptStatus {
        guard let terminal = await terminals.latest(named: Self.name(call)) else {
            return RunScriptStatus(state: .idle, command: configuration.scripts.run)
        }
        var status = RunScriptStatus(
            state: .starting,
            command: terminal.command.last,
            terminalId: terminal.id,
            startedAt: terminal.createdAt,
            endedAt: terminal.endedAt,
            exitCode: terminal.exit?.exitCode,
            signal: terminal.exit?.signal
        )
        if terminal.endedAt != nil {
            // Ended by a person it is as before it began.
            let isStopped =
                [SIGHUP, SIGKILL, SIGTERM].contains { $0 == terminal.exit?.signal }
                || [128 + SIGHUP, 128 + SIGTERM].contains { $0 == terminal.exit?.exitCode }
            status.state = terminal.exit?.exitCode == 0 ? .completed : isStopped ? .idle : .failed
            return status
        }
        if let process = await terminals.process(of: terminal.id) {
            let ports = await ListeningPorts.of(session: process) { await descriptors(of: $0) }
            let first = configuration.ports.filter { ports.contains($0) }
            status.ports = first + ports.filter { !first.contains($0) }
        }
        if !status.ports.isEmpty { status.state = .running }
        return status
    }

    /// What the links of their descriptors say, a line each, as their own user sees them.
    private func descriptors(of processes: [pid_t]) async -> String {
        let script = #"for id; do for link in /proc/"$id"/fd/*; do readlink "$link"; done; done 2>/dev/null; :"#
        let command = ProcessCommand(
            ["/bin/sh", "-c", script, "sh"] + processes.map { "\($0)" },
            environment: services.layout.baseVariables,
            directory: "/",
            identity: .agent
        )
        let result = try? await services.runner.run(command)
        return result?.outputText ?? ""
    }
}
