/// What git may show to a remote during one operation, and how it learns whom it speaks to.
public enum RemoteAccess: Sendable, Equatable {
    /// Nothing.
    case plain
    /// Logins for HTTP, asked for at this socket.
    case login(socket: String)
    case ssh(SSHAccess)

    var socket: String? { if case .login(let socket) = self { socket } else { nil } }
    var ssh: SSHAccess? { if case .ssh(let access) = self { access } else { nil } }

    var hasCredential: Bool {
        switch self {
        case .plain: false
        case .login: true
        case .ssh(let access): access.keyFile != nil
        }
    }
}

/// How ssh is run for git: with this key and no other, with these host keys and no others, without a question.
public struct SSHAccess: Sendable, Equatable {
    /// A file with a private key, of mode 0600; nil offers none.
    public var keyFile: String?
    /// Known hosts, in ssh's own form (sshd(8)). Written to when new hosts are accepted.
    public var knownHostsFile: String
    /// Whether a host that is not known yet is taken at its word. One whose key has changed never is.
    public var acceptsNew: Bool

    public init(keyFile: String?, knownHostsFile: String, acceptsNew: Bool) {
        self.keyFile = keyFile
        self.knownHostsFile = knownHostsFile
        self.acceptsNew = acceptsNew
    }

    /// For `GIT_SSH_COMMAND`, which git gives to a shell.
    var command: String {
        let options: [(String, String)] = [
            ("BatchMode", "yes"),
            ("ConnectTimeout", "15"),
            ("ServerAliveInterval", "15"),
            ("ServerAliveCountMax", "3"),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("IdentityFile", keyFile.map(Self.path) ?? "none"),
            ("StrictHostKeyChecking", acceptsNew ? "accept-new" : "yes"),
            ("UserKnownHostsFile", Self.path(knownHostsFile)),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("UpdateHostKeys", "no"),
            ("ForwardAgent", "no"),
            ("LogLevel", "ERROR"),
        ]
        // No configuration file: neither the user's nor the system's has a say.
        return (["ssh", "-F", "/dev/null"] + options.map { "-o '\($0)=\($1)'" }).joined(separator: " ")
    }

    /// A path as ssh_config(5) reads it, within the shell's single quotes.
    private static func path(_ path: String) -> String {
        let escaped = path.reduce(into: "") { text, character in
            switch character {
            case "\"", "\\": text += "\\\(character)"
            case "%": text += "%%"
            case "'": text += #"'\''"#
            default: text.append(character)
            }
        }
        return "\"\(escaped)\""
    }
}
