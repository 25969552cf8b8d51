import API
import Base
import Client
import Domain
import EventLoop
import FoundationEssentials
import Glibc
import Server
import Transport

/// `ssh`, `config-ssh`.
enum SSHCommands {
    static let all = [connect, configure]

    private static let connect = Command(
        path: ["ssh"],
        summary: "Connect to an environment with OpenSSH's client.",
        operands: [
            Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment; woken where it sleeps"),
            Operand(name: "WORDS", count: .any, about: "a command, or options of ssh behind `--`"),
        ],
        options: [.flag("stdio", "Pass bytes between standard input and output and the SSH server: a ProxyCommand.")],
        examples: [
            Example(line: "berth ssh build", about: "A shell"),
            Example(line: "berth ssh build -- -L 8080:localhost:3000 -N", about: "A port, as ssh itself has it"),
            Example(line: "berth ssh build make test", about: "A command; exits with its status"),
        ],
        discussion: """
            The key is this person's own, made on first use, and the host key comes from the server, so nothing is asked.
            With 'berth config-ssh' ssh, scp, sftp, rsync and editors know environments as NAME.berth.
            """
    ) { arguments, terminal in
        let name = arguments.operands[0]
        let folder = try SSHFolder(terminal.environment)
        let key = try folder.publicKey()
        return try await ServerSession.with(arguments, terminal) { session in
            var options = SSHOptions(folder: folder, environment: name)
            let access: SSHAccess = try await session.client.call(.sshPrepare, path: ["environmentId": name])
            try folder.remember(access.hostKey, of: options.alias)
            guard !arguments.has("stdio") else {
                let socket = try await session.client.ssh(environment: name, publicKey: key)
                return try await StandardStreams.join(socket, loop: terminal.loop)
            }
            options.user = access.user
            options.server = arguments.text("server")
            let flags = options.all.flatMap { ["-o", "\($0.key)=\($0.value)"] }
            throw Launch.become(["ssh"] + flags + [options.alias] + arguments.operands.dropFirst())
        }
    }

    private static let configure = Command(
        path: ["config-ssh"],
        summary: "Tell OpenSSH of your environments: ssh NAME.berth, scp, rsync, editors.",
        options: [
            .flag("remove", "Take the block out again."),
            .value("file", "PATH", "The file; default ~/.ssh/config."),
        ],
        examples: [
            Example(line: "berth config-ssh", about: "Again when environments came or went"),
            Example(line: "berth config-ssh --remove", about: "Leaves the file as it was"),
        ],
        discussion: "Writes one marked block at the file's beginning and touches nothing else in it."
    ) { arguments, terminal in
        let home = terminal.environment["HOME"] ?? "/root"
        let path = arguments.text("file") ?? "\(home)/.ssh/config"
        let before = Files.exists(path) ? try Input.file(path, field: "--file") : ""
        if arguments.has("remove") {
            let after = try SSHConfigFile.text(before, with: nil)
            if after != before { try SSHFolder.replace(path, with: after) }
            terminal.write(after == before ? "there was nothing of berth in \(path)\n" : "\(path) is as it was\n")
            return 0
        }
        let folder = try SSHFolder(terminal.environment)
        _ = try folder.publicKey()
        return try await ServerSession.with(arguments, terminal) { session in
            let page: Page<API.Environment> = try await session.client.call(
                .environmentList,
                query: [("limit", "200")]
            )
            let living = page.items.filter { !["destroyed", "destroying"].contains($0.status) }
            let block = living.map { environment in
                var options = SSHOptions(folder: folder, environment: environment.name)
                options.user = environment.spec.provider == .host ? nil : "agent"
                options.server = arguments.text("server")
                options.data = terminal.environment["BERTH_DATA"]
                return "Host \(options.alias)\n" + options.all.map { "    \($0.key) \($0.value)\n" }.joined()
            }
            let after = try SSHConfigFile.text(before, with: block.joined())
            let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
            if !directory.isEmpty, !Files.exists(directory) { mkdir(directory, 0o700) }
            try SSHFolder.replace(path, with: after)
            try session.print(living.map { $0.name + SSHOptions.suffix }) {
                living.map { "ssh \($0.name)\(SSHOptions.suffix)\n" }.joined()
                    + (living.isEmpty ? "there is no environment yet; run this again when there is one\n" : "")
            }
            return 0
        }
    }
}

/// Standard input and output as two directions of one connection.
private enum StandardStreams {
    static func join(_ socket: WebSocket, loop: EventLoop) async throws -> Int32 {
        let input = Descriptor(0, loop: loop)
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask {
                var buffer = [UInt8](repeating: 0, count: 64 << 10)
                while true {
                    try await input.readable()
                    let count = read(0, &buffer, buffer.count)
                    if count < 0, errno == EAGAIN || errno == EINTR { continue }
                    // An empty message ends this direction.
                    guard try await socket.send(binary: Array(buffer[..<max(0, count)])), count > 0 else { return nil }
                }
            }
            group.addTask {
                while case .binary(let bytes)? = try await socket.receive() {
                    if bytes.isEmpty { break }
                    Terminal.write(bytes, to: 1)
                }
                return 0
            }
            defer {
                group.cancelAll()
                socket.close()
            }
            while let part = try await group.next() { if let part { return part } }
            return 0
        }
    }
}
