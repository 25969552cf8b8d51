import API
import Base
import Domain

/// Options that `run`, `exec` and `env create` share.
enum SharedOptions {
    static let provider = Option.value(
        "provider",
        "KIND",
        "Where a new environment lives: local (a sandbox, the default), docker (a container), microvm (a virtual machine) or"
            + " host (NO isolation).",
        choices: [ProviderKind.local, .docker, .microvm, .host].map(\.rawValue)
    )

    static let environment = Option.value(
        "environment",
        short: "e",
        "NAME",
        "Environment by name or id; 'new' for one of its own; default: yours."
    )

    /// What a repository's remote wants to see; kept with a workspace, forgotten after anything else.
    static let remoteLogin: [Option] = [
        .value("git-user", "NAME", "User name for the repository's host; default x-access-token."),
        .value(
            "git-secret",
            "NAME",
            "Password or token for its host: NAME of this shell, NAME=@FILE, or NAME=- for stdin."
        ),
        .value("ssh-key", "FILE", "Private key for a repository behind ssh; without a passphrase."),
        .value(
            "known-hosts",
            "FILE",
            "Host keys to trust for it; default: the first one seen, which may not change."
        ),
    ]

    static let image = Option.value(
        "image",
        "NAME",
        "Of what a new environment is made, for provider docker; default: the server's dockerImage."
    )

    static let network: [Option] = [
        .value(
            "network",
            "KIND",
            "What a new environment may reach: open (the internet), allow (what --allow names) or none.",
            choices: NetworkPolicy.Kind.allCases.map(\.rawValue)
        ),
        .value("allow", "NAME:PORT", "Name that a new environment may reach, such as github.com:443.", repeats: true),
        .value("host-port", "PORT", "Loopback port of this machine that a new environment may reach.", repeats: true),
    ]

    static let limits: [Option] = [
        .value("cpus", "N", "Processors of a new environment, such as 1.5."),
        .value("memory", "SIZE", "Memory of a new environment, such as 2G."),
        .value("disk", "SIZE", "Disk of a new environment, such as 10G."),
        .value("processes", "N", "Processes of a new environment."),
    ]

    static let placement: [Option] =
        [
            environment,
            provider,
            image,
        ] + network + limits

    static let run: [Option] = [
        .value("env", "NAME=VALUE", "Variable of the agent's environment.", repeats: true),
        .value(
            "secret",
            "NAME",
            "Secret variable: NAME takes it from this shell, NAME=@FILE from a file, NAME=- from stdin.",
            repeats: true
        ),
        .value("timeout", "TIME", "Time limit, such as 90s, 30m or 2h."),
        .value("max-output", "SIZE", "Stored bytes of each stream's start; default 10000000."),
        .flag("detach", short: "d", "Return at once; the run goes on."),
    ]

    static func apply(_ arguments: ParsedArguments, to request: inout CreateExecution, terminal: Terminal)
        throws(BerthError)
    {
        request.environment = arguments.text("environment")
        request.provider = try provider(arguments, terminal: terminal)
        request.image = arguments.text("image")
        request.network = try network(arguments)
        request.limits = try limits(arguments)
        request.env = try Input.variables(arguments, terminal: terminal)
        request.config = RunConfig(
            timeoutMs: try arguments.milliseconds("timeout"),
            maxOutputBytes: try arguments.bytes("max-output")
        )
    }

    static func provider(_ arguments: ParsedArguments, terminal: Terminal) throws(BerthError) -> ProviderKind? {
        let name = try arguments.choice("provider", of: provider.choices)
        if name == ProviderKind.host.rawValue {
            let style = terminal.errorStyle
            terminal.writeError(
                style.red(style.bold("WARNING: provider host gives NO isolation."))
                    + " The agent runs as this machine's user, with all of that user's files and network.\n"
            )
        }
        return name.map { ProviderKind(rawValue: $0) }
    }

    static func network(_ arguments: ParsedArguments) throws(BerthError) -> NetworkPolicy? {
        let kind = try arguments.choice("network", of: NetworkPolicy.Kind.allCases.map(\.rawValue))
        var ports: [Int] = []
        for text in arguments.all("host-port") {
            guard let port = Int(text), (1...65535).contains(port) else {
                throw BerthError(.usage, "'\(text)' is not a TCP port", field: "--host-port", remedy: "1 to 65535")
            }
            ports.append(port)
        }
        let allow = try rules(arguments.all("allow"))
        guard kind != nil || !ports.isEmpty || !allow.isEmpty else { return nil }
        let chosen = kind.flatMap { NetworkPolicy.Kind(rawValue: $0) } ?? (allow.isEmpty ? .open : .allow)
        return try NetworkPolicy(chosen, hostPorts: ports, allow: allow)
    }

    static func rules(_ texts: [String]) throws(BerthError) -> [NetworkRule] {
        var rules: [NetworkRule] = []
        for text in texts { rules.append(try NetworkRule(text)) }
        return rules
    }

    static func limits(_ arguments: ParsedArguments) throws(BerthError) -> ResourceLimits? {
        var limits = ResourceLimits.standard
        let standard = limits
        if let cpus = try arguments.number("cpus") { limits.cpus = cpus }
        if let memory = try arguments.bytes("memory") { limits.memoryBytes = memory }
        if let disk = try arguments.bytes("disk") { limits.diskBytes = disk }
        if let processes = try arguments.integer("processes", in: 8...4_194_304) { limits.processes = processes }
        return limits == standard ? nil : limits
    }
}
