public import Base

/// What git's own words mean. Pure; git runs with `LC_ALL=C`.
public enum GitFailure {
    /// - Parameters:
    ///   - text: git's standard error.
    ///   - url: the remote, as it may be shown.
    ///   - hadCredential: whether one was offered for its host.
    ///   - isSSH: whether ssh carried it, where a credential is a key.
    public static func error(_ text: String, url: String, hadCredential: Bool, isSSH: Bool = false) -> BerthError {
        let words = text.lowercased()
        func says(_ phrases: String...) -> Bool { phrases.contains { words.contains($0) } }
        let detail = String(text.suffix(4000))
        if says("no space left on device") {
            return BerthError(
                .diskFull,
                "the environment's disk is full",
                remedy: "free space in the environment or give it a larger disk",
                detail: detail
            )
        }
        let isRefused = says(
            "authentication failed",
            "could not read username",
            "could not read password",
            "terminal prompts disabled",
            "permission denied (",
            "returned error: 401",
            "returned error: 403",
            "invalid username or"
        )
        if let problem = sshError(words, url: url, detail: detail) { return problem }
        if isRefused { return isSSH ? keyRefused(url, hadCredential, detail) : refused(url, hadCredential, detail) }
        if says("couldn't find remote ref", "not our ref", "unknown revision", "remote branch") {
            return BerthError(.reference, "\(url) has no such reference: \(lastLine(text))", detail: detail)
        }
        let isAbsent = says(
            "repository not found",
            "does not appear to be a git repository",
            "returned error: 404",
            "does not exist",
            "' not found",
            "not a git repository"
        )
        if isAbsent {
            return BerthError(
                .repositoryUnreachable,
                "there is no repository at \(url)"
                    + (hadCredential ? ", or the given credential may not see it" : ", or it needs a credential"),
                remedy: "check the URL" + (hadCredential ? "" : "; for a private repository pass a git credential"),
                detail: detail
            )
        }
        return unreachable(url, lastLine(text), detail: detail)
    }

    public static func unreachable(_ url: String, _ reason: String, detail: String? = nil) -> BerthError {
        BerthError(
            .repositoryUnreachable,
            "\(url) cannot be reached: \(reason)",
            remedy: "check the URL and the environment's network policy",
            detail: detail,
            isRetryable: true
        )
    }

    /// Why a push was refused, or nil when the words are not those of a refusal.
    public static func pushRejection(_ text: String) -> BerthError? {
        let lines = text.split(whereSeparator: \.isNewline).map { String($0).trimmed }
        guard let line = lines.first(where: { $0.hasPrefix("! [") || $0.contains("[remote rejected]") }) else {
            return nil
        }
        let reason = line.split(separator: "(").last.map { String($0.prefix { $0 != ")" }) } ?? line
        let said = lines.filter { $0.hasPrefix("remote:") }.map { String($0.dropFirst(7)).trimmed }
            .filter { !$0.isEmpty }
        let isBehind = reason.contains("fetch first") || reason.contains("non-fast-forward")
        return BerthError(
            .pushRejected,
            "the push was rejected: \(reason)" + (said.isEmpty ? "" : ": \(said.joined(separator: " ").prefix(400))"),
            remedy: isBehind
                ? "the branch has moved on at the remote; choose another --branch"
                : "the remote's rules refuse this branch; the commits are kept in the workspace",
            detail: String(text.suffix(4000))
        )
    }

    private static func refused(_ url: String, _ hadCredential: Bool, _ detail: String) -> BerthError {
        BerthError(
            .repositoryCredentials,
            hadCredential ? "\(url) refused the given credential" : "\(url) asks for a credential and none was given",
            remedy: hadCredential
                ? "check that it is valid and may read (and, to push, write) this repository"
                : "pass one for this host as a git credential",
            detail: detail
        )
    }

    private static func keyRefused(_ url: String, _ hadKey: Bool, _ detail: String) -> BerthError {
        BerthError(
            .repositoryCredentials,
            hadKey ? "\(url) refused the given key" : "\(url) asks for a key and none was given",
            remedy: hadKey
                ? "check that the key's public half is registered there, and the user name in the URL (mostly 'git')"
                : "pass a private key: --ssh-key FILE",
            detail: detail
        )
    }

    /// What ssh itself says; `words` is in lower case.
    private static func sshError(_ words: String, url: String, detail: String) -> BerthError? {
        if words.contains("remote host identification has changed") {
            return BerthError(
                .hostKey,
                "the host of \(url) shows another key than before: it was set up anew, or somebody stands in between",
                remedy: "ask its administrator for the new key and pass it: --known-hosts FILE",
                detail: detail
            )
        }
        if words.contains("host key verification failed") || words.contains("host key is known for") {
            return BerthError(
                .hostKey,
                "the given known hosts have no key that fits the host of \(url)",
                remedy: "add the host's line, as 'ssh-keyscan HOST' prints it, after checking it with the host's owner",
                detail: detail
            )
        }
        if words.contains("cannot run ssh") || words.contains("ssh: not found") {
            return BerthError(
                .unsupported,
                "the environment has no ssh program, which \(url) needs",
                remedy: "install an OpenSSH client in the environment, or give the repository as an https URL",
                detail: detail
            )
        }
        let isKeyUnreadable = words.contains("error in libcrypto") || words.contains("invalid format")
        if words.contains("load key"), isKeyUnreadable || words.contains("incorrect passphrase") {
            return BerthError(
                .repositoryCredentials,
                "ssh cannot read the private key given for \(url)",
                remedy:
                    "pass the private half, in OpenSSH or PEM form, without a passphrase (ssh-keygen -p removes it)",
                detail: detail
            )
        }
        return nil
    }

    static func lastLine(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).map { String($0).trimmed }
        // Where ssh says why, git only says that it did.
        let isHint = { (line: String) in line == "fatal: Could not read from remote repository." }
        let line =
            lines.last { $0.hasPrefix("ssh: ") }
            ?? lines.last { ($0.hasPrefix("fatal:") || $0.hasPrefix("error:")) && !isHint($0) } ?? lines.last
            ?? "git said nothing"
        return String(line.prefix(400))
    }
}
