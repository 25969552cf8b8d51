import API
import Base
import Client
import Domain
import Glibc

/// `ssh-login`: for SSH clients that take no ProxyCommand.
enum SSHCredentialCommands {
    static let all = [open]

    private static let open = Command(
        path: ["ssh-login"],
        summary: "Open a loopback port to an environment, for SSH clients that take no ProxyCommand.",
        operands: [Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment that runs")],
        options: [
            .value("for", "DURATION", "How long, 60s to 24h; default 1h."),
            .value("key", "FILE", "Where the private key goes; default ~/.config/berth/ssh/login-ENVIRONMENT."),
            .value("end", "TOKEN", "Close this one before its time."),
        ],
        examples: [
            Example(line: "berth ssh-login build", about: "Prints the ssh command that it takes"),
            Example(line: "berth ssh-login build --for 10m --json", about: "Host, port, user, key and host key"),
        ],
        discussion: """
            The port is on the loopback of the server's machine. The key is made for this login and opens it alone; when
            the time is up, port and connections are closed. Everything else is easier with 'berth ssh'.
            """
    ) { arguments, terminal in
        let name = arguments.operands[0]
        return try await ServerSession.with(arguments, terminal) { session in
            if let token = arguments.text("end") {
                let ended: SSHCredentialsEnd = try await session.client.call(
                    .sshCredentialsEnd,
                    path: ["environmentId": name, "token": token]
                )
                try session.print(ended) { "\(token) is closed\n" }
                return 0
            }
            let folder = try SSHFolder(terminal.environment)
            let lifetime = try arguments.milliseconds("for")
            let login: SSHCredentials = try await session.client.call(
                .sshCredentials,
                path: ["environmentId": name],
                query: lifetime.map { [("expiresInMs", "\($0)")] } ?? []
            )
            if session.isJSON, arguments.text("key") == nil {
                try session.print(login) { "" }
                return 0
            }
            let key = arguments.text("key") ?? "\(folder.path)/login-\(login.environmentId)"
            let hosts = "\(key).known_hosts"
            try SSHFolder.replace(key, with: login.privateKey)
            try SSHFolder.replace(hosts, with: "[\(login.host)]:\(login.port) \(login.hostKey)\n")
            try session.print(login) {
                """
                ssh -i \(Launch.quoted(key)) -o IdentitiesOnly=yes -o UserKnownHostsFile=\(Launch.quoted(hosts)) \
                -p \(login.port) \(login.username)@\(login.host)
                until \(login.expiresAt); 'berth ssh-login \(name) --end \(login.token)' closes it before

                """
            }
            return 0
        }
    }
}
