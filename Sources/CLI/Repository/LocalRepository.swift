import Base
import Domain
import Glibc
import OpenSSL

/// A repository on the caller's machine: a sandbox cannot see it, so it travels as a git bundle.
struct LocalRepository: Sendable {
    /// Top of the working tree, or the bare repository itself.
    let path: String
    /// `local:NAME-HASH`: the same for every worktree and subdirectory of one repository.
    let name: String
    let isBare: Bool
    /// No commit yet: there is nothing to send.
    let isEmpty: Bool
    let environment: [String: String]

    /// Whether `text` means a place on this machine: `.`, a path, a `file://` URL, or a name that is a directory here.
    static func isPath(_ text: String) -> Bool {
        if text.hasPrefix("file://") || [".", ".."].contains(text) { return true }
        if ["/", "./", "../", "~/"].contains(where: { text.hasPrefix($0) }) || text == "~" { return true }
        guard !text.contains(":") else { return false }
        var status = stat()
        return stat(text, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Throws where there is no repository, or one that cannot travel.
    init(_ text: String, field: String, environment: [String: String]) throws(BerthError) {
        self.environment = environment
        let given = Self.expand(text, environment: environment)
        var status = stat()
        guard stat(given, &status) == 0 else {
            throw BerthError(.notFound, "there is no \(given)", field: field, remedy: "check the path")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw BerthError(
                .invalidPath,
                "\(given) is no directory",
                field: field,
                remedy: "give the repository's own"
            )
        }
        let facts = try GitCommand.run(
            [
                "rev-parse", "--is-bare-repository", "--is-shallow-repository", "--path-format=absolute",
                "--git-common-dir",
            ],
            in: given,
            environment: environment
        )
        let lines = facts.text.split(separator: "\n").map(String.init)
        guard facts.succeeded, lines.count == 3 else { throw Self.noRepository(given, facts, field: field) }
        isBare = lines[0] == "true"
        guard lines[1] != "true" else {
            throw BerthError(
                .unsupported,
                "\(given) is a shallow clone: its history is cut off, so it cannot be sent",
                field: field,
                remedy: "get the rest with 'git -C \(given) fetch --unshallow', or give the repository's URL"
            )
        }
        let top =
            isBare ? nil : try GitCommand.run(["rev-parse", "--show-toplevel"], in: given, environment: environment)
        path = top.flatMap { $0.succeeded ? $0.text : nil } ?? lines[2]
        name = Self.name(commonDirectory: lines[2])
        let any = try GitCommand.run(
            ["rev-list", "-n", "1", "--all", "HEAD", "--"],
            in: path,
            environment: environment
        )
        let branches = try GitCommand.run(["for-each-ref", "--count=1"], in: path, environment: environment)
        isEmpty = branches.text.isEmpty && !any.succeeded
    }

    func git(_ arguments: String...) throws(BerthError) -> GitCommand {
        try GitCommand.run(arguments, in: path, environment: environment)
    }

    /// What of the working tree stays behind, in words; nil when nothing does.
    func leftBehind() throws(BerthError) -> String? {
        guard !isBare else { return nil }
        let status = try git("status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=dirty")
        var (changed, untracked) = (0, 0)
        var isSecondName = false
        for entry in status.output.split(separator: 0) {
            // A rename is followed by its old name.
            if isSecondName {
                isSecondName = false
                continue
            }
            isSecondName = entry.first == UInt8(ascii: "R") || entry.first == UInt8(ascii: "C")
            if entry.starts(with: Array("??".utf8)) { untracked += 1 } else { changed += 1 }
        }
        let parts = [
            changed == 0 ? nil : "\(changed) changed \(changed == 1 ? "file" : "files")",
            untracked == 0
                ? nil : "\(untracked) untracked \(untracked == 1 ? "file or directory" : "files or directories")",
        ].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    /// What a task is to start from, as it will be known in the environment: a branch or tag by its name, anything else
    /// by its commit.
    func base(_ text: String) throws(BerthError) -> String {
        for prefix in ["refs/heads/", "refs/tags/"] {
            let found = try git("show-ref", "--verify", "--quiet", prefix + text)
            if found.succeeded { return text }
        }
        let commit = try git("rev-parse", "--verify", "--quiet", "--end-of-options", "\(text)^{commit}")
        guard commit.succeeded else {
            let branches = try git("for-each-ref", "--format=%(refname:short)", "--count=8", "refs/heads")
            let known = branches.text.split(separator: "\n").joined(separator: ", ")
            throw BerthError(
                .reference,
                "\(path) has no branch, tag or commit '\(text.prefix(200))'",
                field: "--base",
                remedy: known.isEmpty ? "leave --base out" : "it has the branches \(known)"
            )
        }
        return commit.text
    }

    /// Writes all branches and tags, and HEAD, as a bundle into an open file.
    /// - Parameter base: a commit that must be in it, wherever it stands.
    func bundle(into file: CInt, including base: String?) throws(BerthError) {
        var references = ["--branches", "--tags"]
        if try git("rev-parse", "--verify", "--quiet", "HEAD^{commit}").succeeded { references.append("HEAD") }
        if let base,
            try git("branch", "--all", "--contains", base, "--format=%(refname)").text.contains("refs/remotes/")
        {
            references.append("--remotes")
        }
        let result = try GitCommand.run(
            // Large files are mostly packed already in some form of their own: looking for what they share takes minutes.
            ["-c", "core.bigFileThreshold=1m", "bundle", "create", "--quiet", "-"] + references,
            in: path,
            environment: environment,
            into: file
        )
        guard result.succeeded else {
            let isFull = result.errors.contains("No space left")
            throw BerthError(
                isFull ? .diskFull : .unsupported,
                "git cannot bundle \(path): \(result.complaint)",
                field: "--repo",
                remedy: isFull ? "free space, or name another directory with TMPDIR" : "check it with 'git fsck'"
            )
        }
    }

    // MARK: - Names

    private static func expand(_ text: String, environment: [String: String]) -> String {
        if text.hasPrefix("file://") { return String(text.dropFirst(7)) }
        let home = environment["HOME"] ?? "/"
        if text == "~" { return home }
        return text.hasPrefix("~/") ? home + text.dropFirst(1) : text
    }

    /// The directory's own name for people, and a hash of where it is for machines: a path may tell too much.
    private static func name(commonDirectory: String) -> String {
        var place = commonDirectory
        if place.hasSuffix("/.git") { place = String(place.dropLast(5)) }
        var last = place.split(separator: "/").last.map(String.init) ?? "repository"
        if last.hasSuffix(".git"), last.count > 4 { last.removeLast(4) }
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let machine = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let hash = Hex.encode(Array(SHA256.hash(Array("\(machine)\u{0}\(commonDirectory)".utf8)).prefix(6)))
        let plain = last.unicodeScalars.map { scalar in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            return isPlain || "._-".unicodeScalars.contains(scalar) ? Character(scalar) : "-"
        }
        return "\(RepositoryURL.localPrefix)\(String(plain.prefix(100)))-\(hash)"
    }

    private static func noRepository(_ path: String, _ facts: GitCommand, field: String) -> BerthError {
        if facts.errors.contains("dubious ownership") {
            return BerthError(
                .forbidden,
                "\(path) belongs to another user, and git does not trust it",
                field: field,
                remedy: "if you do: git config --global --add safe.directory \(path)"
            )
        }
        return BerthError(
            .invalidPath,
            "\(path) is no git repository",
            field: field,
            remedy: "give a repository's directory or URL; 'git init' makes one"
        )
    }
}
