import Base

/// Every command of the program.
enum Commands {
    static let all: [Command] =
        [ServeCommand.command, RunCommand.command, ExecCommand.command, FetchCommand.command, ForwardCommand.command]
        + ExecutionCommands.all + DeadLetterCommands.all + EnvironmentCommands.all + SnapshotCommands.all
        + ImageCommands.all
        + QuotaCommands.all
        + TerminalCommands.all + SessionCommands.all + SSHCommands.all + SSHCredentialCommands.all
        + WorkspaceCommands.all + FileCommands.all + GitCommands.all + ProcessCommands.all + PresenceCommands.all
        + HandOverCommands.all + RemoteCommands.all + [SetupCommand.command]
        + JobCommands.all + KeyCommands.all + BusCommands.all
        + [
            ChangesCommand.command, StatusCommand.command, ServersCommand.command, DoctorCommand.command,
            ConfigCommand.command, CompletionCommand.command, MigrateCommand.command, DatabaseCopyCommand.command,
            VersionCommand.command,
        ]

    static let parser = ArgumentParser(commands: all)
}
