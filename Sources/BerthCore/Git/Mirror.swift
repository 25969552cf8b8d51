public import Base
import Domain
internal import Glibc
internal import OpenSSL

/// Bare copies of remotes, kept so that the next workspace needs only what is new. One for each remote, organization and
/// credential: nothing that was fetched with one credential is given to another.
///
/// The only place where credentials are used: agents cannot write here, so no hook, filter or setting of theirs runs
/// with them.
public struct Mirror: Sendable {
    public let url: GitURL
    public let path: String
    let git: Git
    let remoteAccess: RemoteAccess
    /// A bundle that stands in for the remote; nil where git reaches the remote itself.
    let bundle: String?
    private let account: String

    /// What a remote offers.
    public struct Offer: Sendable, Equatable {
        /// The branch that the remote's HEAD names; nil for an empty or detached remote.
        public var defaultBranch: String?
        /// Full names of branches and tags; a tag's commit, not its object.
        public var references: [String: String]
        public var headCommit: String?
    }

    /// - Parameters:
    ///   - account: who the objects belong to: the organization and what identifies the credential, never the secret.
    ///   - access: what is shown to the remote.
    ///   - bundle: a file that stands in for the remote.
    public init(url: GitURL, account: String, git: Git, access: RemoteAccess, bundle: String? = nil) {
        self.url = url
        self.git = git
        self.account = account
        remoteAccess = access
        self.bundle = bundle
        let key = SHA256.hash(Array("\(account)\u{0}\(url.text)".utf8))
        path = "\(git.configuration.cacheDirectory)/mirrors/\(Hex.encode(key))"
    }

    public init(url: GitURL, account: String, git: Git, credentialSocket: String?) {
        self.init(url: url, account: account, git: git, access: credentialSocket.map { .login(socket: $0) } ?? .plain)
    }

    /// What git is told to read from.
    private var source: String { bundle ?? (isEmptyUpload ? path : url.text) }

    /// A caller's repository without a commit has nothing to send.
    private var isEmptyUpload: Bool { url.transport == .bundle && bundle == nil }

    /// The mirror of another repository for the same account. A login answers only for its own host; a key is offered to
    /// no host but that of the repository it was given for.
    func sibling(_ url: GitURL) -> Mirror {
        let isSameHost = url.transport == .ssh && url.authority == self.url.authority
        let access: RemoteAccess = remoteAccess.ssh == nil || isSameHost ? remoteAccess : .plain
        return Mirror(url: url, account: account, git: git, access: access)
    }

    /// Asks the remote, without a transfer: the quick way to learn that it is unreachable, refuses or is empty.
    public func offer() async throws -> Offer {
        if isEmptyUpload, access(path, F_OK) != 0 {
            return Offer(defaultBranch: nil, references: [:], headCommit: nil)
        }
        let deadline = git.configuration.connectDeadline
        let result: ProcessResult
        do {
            result = try await git.asWorker(
                ["ls-remote", "--symref", "--", source],
                in: git.configuration.cacheDirectory,
                access: remoteAccess,
                deadline: deadline
            )
        } catch let error as BerthError where error.code == .timedOut {
            throw GitFailure.unreachable(url.text, "no answer within \(deadline.components.seconds) s")
        }
        guard result.succeeded else { throw failure(result) }
        return Self.offer(parsing: result.outputText)
    }

    static func offer(parsing text: String) -> Offer {
        var offer = Offer(defaultBranch: nil, references: [:], headCommit: nil)
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = String(parts[1])
            if parts[0].hasPrefix("ref: ") {
                if name == "HEAD", parts[0].hasPrefix("ref: refs/heads/") {
                    offer.defaultBranch = String(parts[0].dropFirst("ref: refs/heads/".count))
                }
            } else if name == "HEAD" {
                offer.headCommit = String(parts[0])
            } else if name.hasSuffix("^{}") {
                offer.references[String(name.dropLast(3))] = String(parts[0])
            } else if offer.references[name] == nil {
                offer.references[name] = String(parts[0])
            }
        }
        return offer
    }

    /// Brings all branches and tags here. Nothing is ever pruned, so what a workspace took stays whole.
    public func update() async throws {
        // A bundle's HEAD may stand on no branch, and a task may begin where its owner's remote stands.
        if isEmptyUpload { return try await git.turns.with(path) { try await create() } }
        let more = [
            "HEAD", "+refs/remotes/*:refs/berth/remotes/*",
            "+\(WorkspaceSetup.AdoptedState.prefix)*:\(WorkspaceSetup.AdoptedState.prefix)*",
        ]
        var references = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if bundle != nil {
            // Of a repository with a remote of its own, what its owner last saw there is what the remote has.
            if url.transport != .bundle {
                references = ["+refs/heads/*:\(Self.uploadedHeads)*", "+refs/remotes/origin/*:refs/heads/*"]
                references.append("+refs/tags/*:refs/tags/*")
            }
            references += more
        }
        try await git.turns.with(path) { [references] in
            try await create()
            try await fetch(references)
        }
    }

    /// Branches of an owner's own repository, beside those of its remote.
    static let uploadedHeads = "refs/berth/uploaded/"

    /// Brings one commit that no branch or tag need hold; for remotes that allow it.
    public func fetchCommit(_ commit: String) async throws {
        try await git.turns.with(path) { try await fetch([commit]) }
    }

    public func hasCommit(_ commit: String) async throws -> String? {
        let result = try await git.asWorker(["rev-parse", "--verify", "--quiet", "\(commit)^{commit}"], in: path)
        return result.succeeded ? result.outputText.trimmed : nil
    }

    /// Brings `commit` of a workspace here and pushes it as `branch`.
    public func push(_ commit: String, of workspace: String, as branch: String) async throws {
        guard url.transport != .bundle else {
            throw BerthError(
                .unsupported,
                "a local repository takes no push",
                remedy: "its branch comes back by itself; see berth fetch"
            )
        }
        let kept = try await take(commit, of: workspace)
        let result = try await git.asWorker(
            ["push", "--porcelain", "--no-verify", url.text, "\(kept):refs/heads/\(branch)"],
            in: path,
            access: remoteAccess,
            deadline: git.configuration.transferDeadline
        )
        guard result.succeeded else {
            let words = result.errorText + "\n" + Self.rejections(of: result.outputText)
            throw GitFailure.pushRejection(words) ?? failure(result)
        }
    }

    /// Brings a commit of a workspace here; returns the reference that holds it.
    @discardableResult
    func take(_ commit: String, of workspace: String) async throws -> String {
        let kept = "refs/berth/pushed/\(commit)"
        try await git.turns.with(path) {
            try await create()
            _ = try await git.asWorker(
                ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", workspace, "+\(commit):\(kept)"],
                in: path,
                deadline: git.configuration.transferDeadline
            )
            .checked("take the commits out of the workspace")
        }
        return kept
    }

    /// Keeps every branch and stash of a workspace, and where it stands, for when its working tree is gone.
    public func keep(_ workspace: String, as id: WorkspaceID, stashes: [String]) async throws {
        let kept = Self.kept(id)
        var references = ["+refs/heads/*:\(kept)heads/*", "+HEAD:\(kept)HEAD"]
        references += stashes.enumerated().map { "+\($1):\(kept)stash/\($0)" }
        try await git.turns.with(path) { [references] in
            try await create()
            _ = try await git.asWorker(
                ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", workspace] + references,
                in: path,
                deadline: git.configuration.transferDeadline
            )
            .checked("keep the branches of the workspace")
        }
    }

    /// What is kept of a workspace: full names and commits.
    func keptReferences(_ id: WorkspaceID) async throws -> [(name: String, commit: String)] {
        guard access(path, F_OK) == 0 else { return [] }
        let result = try await git.asWorker(
            ["for-each-ref", "--format=%(objectname) %(refname)", Self.kept(id)],
            in: path
        )
        .checked("list what is kept of a workspace")
        return result.outputText.split(separator: "\n").map { line in
            (String(line.drop { $0 != " " }.dropFirst()), String(line.prefix { $0 != " " }))
        }
    }

    /// Forgets what was kept; the objects stay for others that have them.
    public func forget(_ id: WorkspaceID) async throws {
        for (name, _) in try await keptReferences(id) {
            _ = try await git.asWorker(["update-ref", "-d", name], in: path).checked("forget a workspace")
        }
    }

    static func kept(_ id: WorkspaceID) -> String { "refs/berth/kept/\(id)/" }

    /// `--porcelain` puts the refused reference on standard output as `!<tab>from:to<tab>[rejected] (reason)`.
    private static func rejections(of output: String) -> String {
        output.split(separator: "\n").filter { $0.hasPrefix("!\t") }
            .map { "! \($0.split(separator: "\t").last ?? "")" }
            .joined(separator: "\n")
    }

    /// Safe against a death half-way: the repository gets its name when it is complete.
    func create() async throws {
        guard access(path, F_OK) != 0 else { return }
        let part = "\(path).\(getpid()).part"
        _ = try await git.asWorker(
            ["init", "--bare", "--quiet", "--template=", part],
            in: git.configuration.cacheDirectory
        )
        .checked("make a mirror")
        if rename(part, path) != 0, errno != ENOTEMPTY, errno != EEXIST {
            throw BerthError(.internal, "cannot make a mirror", detail: "rename '\(path)': errno \(errno)")
        }
    }

    private func fetch(_ references: [String]) async throws {
        let result: ProcessResult
        do {
            result = try await git.asWorker(
                ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", "--", source] + references,
                in: path,
                access: remoteAccess,
                deadline: git.configuration.transferDeadline
            )
        } catch let error as BerthError where error.code == .timedOut {
            throw GitFailure.unreachable(url.text, "the transfer took too long")
        }
        guard result.succeeded else { throw failure(result) }
    }

    private func failure(_ result: ProcessResult) -> BerthError {
        if bundle != nil, !result.errorText.contains("No space left on device") {
            return BerthError(
                .invalidValue,
                "what was uploaded as \(url) is no complete git bundle",
                field: "repository.upload",
                remedy: "make it with 'git bundle create FILE --branches --tags HEAD' in a clone that is not shallow",
                detail: String(result.errorText.suffix(4000))
            )
        }
        return GitFailure.error(
            result.errorText,
            url: url.text,
            hadCredential: remoteAccess.hasCredential,
            isSSH: url.transport == .ssh
        )
    }
}
