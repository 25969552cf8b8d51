internal import AgentProtocol
internal import Base
internal import BerthCore
internal import EventLoop
internal import Glibc
internal import HolderProtocol
internal import Relay
internal import Subprocess
internal import WorkerProtocol

/// The environment's own OpenSSH server, one process for each connection (`sshd -i`), as the environment's user. It never
/// listens: what it says travels over a channel.
actor SSHServer {
    private let services: Services
    private let runner: any ProcessRunner
    private var place: SSHPlace?
    /// Children to wait for, so that the holder may forget them.
    private let children: AsyncStream<String>
    private let addChild: AsyncStream<String>.Continuation

    private static let programs = ["/usr/sbin/sshd", "/opt/berth/tools/sbin/sshd"]
    private static let keyAlgorithms = ["ssh-ed25519", "ecdsa-sha2-", "ssh-rsa", "sk-"]

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    init(_ services: Services, runner: any ProcessRunner) {
        self.services = services
        self.runner = runner
        (children, addChild) = AsyncStream.makeStream()
    }

    /// Until its task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await id in children {
                group.addTask { [services] in
                    _ = try? await services.holder.exit(of: id)
                    try? await services.holder.forget(id)
                }
            }
        }
    }

    /// Of the user alone, and not in their way.
    private var directory: String { services.layout.agent.home + "/.local/share/berth/ssh" }
    private var hostKey: String { directory + "/host_ed25519" }

    private func program() throws(BerthError) -> String {
        guard let found = Self.programs.first(where: { access($0, X_OK) == 0 }) else {
            throw BerthError(
                .unsupported,
                "there is no OpenSSH server in this environment",
                remedy: "install openssh-server in it, or use an image that has it"
            )
        }
        return found
    }

    /// Makes the host key the first time.
    func prepare() async throws -> SSHPlace {
        if let place { return place }
        _ = try program()
        let script = """
            set -e; umask 077; mkdir -p "$1"
            [ -s "$2.pub" ] || { rm -f "$2"; ssh-keygen -q -t ed25519 -N '' -C berth -f "$2"; }
            cat "$2.pub"
            """
        let result = try await runner.run(
            ProcessCommand(
                ["/bin/sh", "-c", script, "sh", directory, hostKey],
                environment: services.layout.baseVariables,
                directory: "/",
                identity: .agent
            )
        )
        let words = result.outputText.split(separator: " ")
        guard result.succeeded, words.count >= 2 else {
            throw BerthError(
                .internal,
                "the environment's host key could not be made",
                detail: String(decoding: result.errors.suffix(400), as: UTF8.self)
            )
        }
        let made = SSHPlace(
            user: services.layout.agent.name,
            hostKey: "\(words[0]) \(words[1])".trimmed,
            workspaceRoot: services.layout.workspaces
        )
        place = made
        return made
    }

    /// Starts a server for one connection; the socket is its other end.
    func connect(_ connection: SSHConnection) async throws -> Socket {
        let key = try Self.checked(connection.publicKey)
        _ = try await prepare()
        let program = try program()
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw BerthError(.internal, "no descriptor is left", detail: String(cString: strerror(errno)))
        }
        defer { close(pair[1]) }
        let socket: Socket
        do {
            socket = try Socket(adopting: pair[0], loop: services.loop)
        } catch {
            close(pair[0])
            throw error
        }
        let id = "ssh:\(services.ids.make(RequestKind.self))"
        do {
            _ = try await services.holder.spawn(request(id, program, key), input: pair[1])
            addChild.yield(id)
        } catch {
            socket.close()
            throw error
        }
        return socket
    }

    private func request(_ id: String, _ program: String, _ key: String) -> SpawnRequest {
        // As a user's own process it can change to no other user, and needs no other.
        let isRoot = (services.layout.agentIdentity?.uid ?? geteuid()) == 0
        if isRoot { try? EnvironmentLayout.make("/run/sshd", mode: 0o755) }
        var options = [
            "HostKey=\(hostKey)", "AuthorizedKeysFile=none", "AuthorizedKeysCommand=none", "UsePAM=no",
            "AuthenticationMethods=publickey", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
            "PermitRootLogin=prohibit-password", "StrictModes=no", "PidFile=none", "UseDNS=no", "PrintMotd=no",
            "PrintLastLog=no", "X11Forwarding=no", "AllowAgentForwarding=yes", "AllowTcpForwarding=yes",
            "AcceptEnv=LANG LC_* TERM_PROGRAM", "Subsystem=sftp internal-sftp", "LogLevel=ERROR",
        ]
        options += ["SetEnv=" + variables.map { "\($0.key)=\($0.value)" }.joined(separator: " ")]
        let keys = "\(directory)/keys.\(id.dropFirst(4))"
        options[1] = "AuthorizedKeysFile=\(keys)"
        // The keys of this connection alone, gone with it; the socket is input and output both.
        let script = """
            umask 077; printf '%s\\n' "$2" >"$1" || exit 1
            keys=$1; shift 2
            "$@" <&0 >&0 2>/dev/null; status=$?
            rm -f "$keys"; exit $status
            """
        return SpawnRequest(
            id: id,
            arguments: ["/bin/sh", "-c", script, "sh", keys, key, program, "-i", "-e", "-f", "/dev/null"]
                + options.flatMap { ["-o", $0] },
            environment: services.layout.baseVariables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            directory: services.layout.agent.home,
            user: services.layout.agentIdentity,
            input: .descriptor,
            privileges: services.layout.agentPrivileges,
            // What somebody leaves running in the background stays, as on any machine.
            reapsTree: false
        )
    }

    /// What a login gets besides sshd's own.
    private var variables: [(key: String, value: String)] {
        services.layout.baseVariables.filter { $0.key == "PATH" || $0.key.hasPrefix("BERTH_") }
            .sorted { $0.key < $1.key }
    }

    /// One line, of a kind that OpenSSH knows, without options.
    private static func checked(_ key: String) throws(BerthError) -> String {
        let words = key.split(separator: " ", maxSplits: 2)
        let isPlain = key.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
        guard isPlain, words.count >= 2, keyAlgorithms.contains(where: words[0].hasPrefix), key.utf8.count <= 8192
        else {
            throw BerthError(
                .invalidValue,
                "this is no public key of OpenSSH's",
                field: "publicKey",
                remedy: "send the line of a .pub file, such as 'ssh-ed25519 AAAA…'"
            )
        }
        return "\(words[0]) \(words[1])"
    }
}
