public import Base
internal import Glibc

/// The real git, run with nothing of the machine's own configuration that could surprise.
public struct Git: Sendable {
    public struct Configuration: Sendable {
        /// Found in `path` when it has no slash.
        public var program: String
        /// `PATH` for git and what it starts.
        public var path: String
        /// Home of the agent's user, with its own git configuration.
        public var agentHome: String
        /// A directory that only Berth can write and everybody can read: mirrors, and git's configuration.
        public var cacheDirectory: String
        /// The command that git calls for a credential; run by a shell.
        public var credentialHelper: String
        /// For the first word with a remote.
        public var connectDeadline: Duration
        /// For a whole transfer; a transfer below 1,000 bytes per second for 30 s ends by itself.
        public var transferDeadline: Duration

        /// Where the keys of hosts are kept that were met without being told of them before.
        public var knownHostsFile: String { cacheDirectory + "/known_hosts" }

        public init(
            program: String = "git",
            path: String = "/usr/local/bin:/usr/bin:/bin",
            agentHome: String,
            cacheDirectory: String,
            credentialHelper: String,
            connectDeadline: Duration = .seconds(30),
            transferDeadline: Duration = .seconds(3600)
        ) {
            self.program = program
            self.path = path
            self.agentHome = agentHome
            self.cacheDirectory = cacheDirectory
            self.credentialHelper = credentialHelper
            self.connectDeadline = connectDeadline
            self.transferDeadline = transferDeadline
        }
    }

    public let configuration: Configuration
    private let runner: any ProcessRunner
    /// By mirror.
    let turns = Turns()

    public init(_ configuration: Configuration, runner: any ProcessRunner) {
        self.configuration = configuration
        self.runner = runner
    }

    /// In place of the user's configuration for Berth's own operations, so that no other file is read.
    var ownConfigurationPath: String { configuration.cacheDirectory + "/gitconfig" }

    /// For a remote to which no key is shown.
    var standardSSH: SSHAccess {
        SSHAccess(keyFile: nil, knownHostsFile: configuration.knownHostsFile, acceptsNew: true)
    }

    static let ownConfiguration = """
        [safe]
        \tdirectory = *
        [gc]
        \tauto = 0
        [advice]
        \tdetachedHead = false
        [init]
        \tdefaultBranch = main
        [http]
        \tlowSpeedLimit = 1000
        \tlowSpeedTime = 30
        [protocol "ext"]
        \tallow = never

        """

    /// Makes the cache's directories and the configuration file; to be called once, before anything else.
    public func prepareCache() throws(BerthError) {
        let cache = configuration.cacheDirectory
        for path in [cache, cache + "/mirrors"] where mkdir(path, 0o755) != 0 && errno != EEXIST {
            throw BerthError(.internal, "cannot make the directory of the git cache", detail: "\(path): errno \(errno)")
        }
        let file = open(ownConfigurationPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        let bytes = Array(Self.ownConfiguration.utf8)
        let written = file < 0 ? -1 : bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        if file >= 0 { close(file) }
        guard written == bytes.count else {
            throw BerthError(.internal, "cannot write git's configuration", detail: "errno \(errno)")
        }
    }

    /// As Berth, in a repository of Berth's own.
    /// - Parameter access: what git may show to a remote; nothing by default.
    func asWorker(
        _ arguments: [String],
        in directory: String,
        access: RemoteAccess = .plain,
        deadline: Duration = .seconds(60)
    ) async throws -> ProcessResult {
        var environment = base(home: configuration.cacheDirectory)
        environment["GIT_CONFIG_GLOBAL"] = ownConfigurationPath
        environment["GIT_SSH_COMMAND"] = (access.ssh ?? standardSSH).command
        environment["GIT_SSH_VARIANT"] = "ssh"
        // An empty helper forgets those named by any other configuration. Hooks are off here, not in the configuration
        // file: the remote's own, when it is a path on this machine, must run.
        var all = [configuration.program, "-c", "credential.helper=", "-c", "core.hooksPath=/dev/null"]
        if let credentialSocket = access.socket {
            environment[CredentialProgram.socketVariable] = credentialSocket
            all += ["-c", "credential.helper=\(configuration.credentialHelper)"]
        }
        return try await runner.run(
            ProcessCommand(
                all + arguments,
                environment: environment,
                directory: directory,
                identity: .worker,
                deadline: deadline
            )
        )
    }

    /// As the agent's user, in a workspace: without any credential, hooks off.
    /// - Parameters:
    ///   - usingOwnConfiguration: ignore the user's own git configuration, as for the clone.
    ///   - runsHooks: where a person asked for what they would do themselves.
    func asAgent(
        _ arguments: [String],
        in directory: String,
        usingOwnConfiguration: Bool = false,
        runsHooks: Bool = false,
        deadline: Duration = .seconds(60),
        outputLimit: Int = 16 << 20
    ) async throws -> ProcessResult {
        var environment = base(home: configuration.agentHome)
        if usingOwnConfiguration { environment["GIT_CONFIG_GLOBAL"] = ownConfigurationPath }
        environment["GIT_LFS_SKIP_SMUDGE"] = "1"
        return try await runner.run(
            ProcessCommand(
                [configuration.program, "-c", "credential.helper="]
                    + (runsHooks ? [] : ["-c", "core.hooksPath=/dev/null"]) + arguments,
                environment: environment,
                directory: directory,
                identity: .agent,
                deadline: deadline,
                outputLimit: outputLimit
            )
        )
    }

    private func base(home: String) -> [String: String] {
        [
            "PATH": configuration.path,
            "HOME": home,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        ]
    }
}

extension ProcessResult {
    /// The result of a command that should not fail.
    func checked(_ what: String) throws(BerthError) -> ProcessResult {
        guard succeeded else {
            if errorText.contains("No space left on device") {
                throw GitFailure.error(errorText, url: "", hadCredential: false)
            }
            throw BerthError(
                .internal,
                "git could not \(what): \(GitFailure.lastLine(errorText))",
                detail: String(errorText.suffix(4000))
            )
        }
        return self
    }
}
