import Base

/// What an SSH client is told so that it reaches an environment without a question.
struct SSHOptions: Sendable {
    let folder: SSHFolder
    /// Name or id, as the person wrote it.
    let environment: String
    /// nil: the client's own default.
    var user: String?
    /// For the command that brings the bytes.
    var server: String?
    var data: String?

    static let suffix = ".berth"
    /// What host keys are kept under, and what clients connect to.
    var alias: String { environment + Self.suffix }

    /// Keys and values of ssh_config(5).
    var all: [(key: String, value: String)] {
        var options: [(String, String)] = []
        if let user { options.append(("User", user)) }
        options += [
            ("HostKeyAlias", alias), ("ProxyCommand", command), ("UserKnownHostsFile", "\"\(folder.knownHosts)\""),
            ("GlobalKnownHostsFile", "/dev/null"), ("StrictHostKeyChecking", "yes"), ("UpdateHostKeys", "no"),
            ("IdentityFile", "\"\(folder.identity)\""), ("IdentitiesOnly", "yes"), ("ControlPath", "none"),
        ]
        return options
    }

    private var command: String {
        var words = [Launch.ownPath, "ssh", "--stdio", environment]
        if let server { words += ["--server", server] }
        if let data { words = ["/usr/bin/env", "BERTH_DATA=\(data)"] + words }
        // ssh replaces tokens that begin with a percent sign.
        return words.map { word in
            Launch.quoted(word.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%"))
        }.joined(separator: " ")
    }
}
