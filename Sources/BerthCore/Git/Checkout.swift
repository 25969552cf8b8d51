import Base
public import Domain
internal import Glibc

/// One checkout made for a task.
public struct Checkout: Sendable, Equatable {
    /// Absolute path of the working tree.
    public var path: String
    public var branch: String
    /// nil where the repository is empty.
    public var baseCommit: String?
    /// The bare copy of the remote that it was made from; nil where the repository is empty.
    public var mirrorPath: String?
    public var warnings: [String]

    public init(
        path: String,
        branch: String,
        baseCommit: String?,
        mirrorPath: String? = nil,
        warnings: [String] = []
    ) {
        self.path = path
        self.branch = branch
        self.baseCommit = baseCommit
        self.mirrorPath = mirrorPath
        self.warnings = warnings
    }
}

/// Makes checkouts and takes their results.
public struct CheckoutMaker: Sendable {
    let git: Git
    /// Where workspaces lie; writable for the agent's user.
    let root: String
    /// Whether a working tree elsewhere on this machine may be one: there is no wall around what runs here.
    let allowsInPlace: Bool

    public init(git: Git, root: String, allowsInPlace: Bool = false) {
        self.git = git
        self.root = root
        self.allowsInPlace = allowsInPlace
    }

    /// Absolute path of a workspace's working tree.
    public func path(of directory: String) -> String {
        directory.hasPrefix("/") ? directory : "\(root)/\(directory)"
    }

    /// Clones into `request.directory`, or goes on in the checkout that is there, on `request.branch`.
    /// - Parameter mirror: of `request.repositoryURL`.
    public func make(_ request: WorkspaceRequest, from mirror: Mirror) async throws -> Checkout {
        try Self.validate(request)
        if request.isInPlace { return try await adopt(request) }
        try await checkBranchName(request.branch)
        let path = "\(root)/\(request.directory)"
        let exists = access(path + "/.git", F_OK) == 0
        if exists { try await checkRemote(of: path, is: request.repositoryURL) }
        if !exists, let again = try await restored(request, path: path, from: mirror) { return again }
        let offer = try await mirror.offer()
        let start = try await start(request, offer, mirror)
        let base: String?
        switch start {
        case .empty: base = nil
        case .commit(let commit): base = commit
        case .unlisted(let name): base = name
        }
        guard let base else {
            if !exists { try await beginEmpty(request, path: path) }
            return Checkout(path: path, branch: request.branch, baseCommit: nil)
        }
        try await mirror.update()
        let commit = try await find(base, in: mirror, offer: offer)
        if exists {
            var checkout = try await goOn(request, path: path, from: mirror, commit: commit)
            checkout.mirrorPath = mirror.path
            return checkout
        }
        try await clone(request, path: path, from: mirror, commit: commit)
        var checkout = Checkout(path: path, branch: request.branch, baseCommit: commit, mirrorPath: mirror.path)
        checkout.warnings += try await lookForLFS(path)
        checkout.warnings += try await SubmoduleFetch(git: git, mirror: mirror, checkout: path).run()
        return checkout
    }

    private func start(_ request: WorkspaceRequest, _ offer: Mirror.Offer, _ mirror: Mirror) async throws
        -> StartingPoint
    {
        if let parent = request.setup?.parentDirectory {
            return .commit(try await commit(of: parent, into: mirror))
        }
        return try offer.resolve(startName(request, offer), url: mirror.url.text)
    }

    /// A task's branch that the remote has already is gone on with, unless another base is asked for.
    private func startName(_ request: WorkspaceRequest, _ offer: Mirror.Offer) -> String? {
        if let base = request.baseReference { return base }
        return offer.references["refs/heads/\(request.branch)"] == nil ? nil : request.branch
    }

    private func find(_ name: String, in mirror: Mirror, offer: Mirror.Offer) async throws -> String {
        if let commit = try await mirror.hasCommit(name) { return commit }
        if name.utf8.count == 40 || name.utf8.count == 64 {
            // GitHub and others give any commit by its full name.
            try? await mirror.fetchCommit(name)
            if let commit = try await mirror.hasCommit(name) { return commit }
        }
        throw offer.missing(name, url: mirror.url.text)
    }

    /// The directory gets its name when the checkout is complete.
    /// - Parameters:
    ///   - more: steps of git's before the files are written.
    ///   - last: and behind.
    func clone(
        _ request: WorkspaceRequest,
        path: String,
        from mirror: Mirror,
        commit: String,
        more: [([String], String)] = [],
        last: [([String], String)] = []
    ) async throws {
        let part = "\(root)/.\(request.directory).part"
        _ = try await git.asAgent(["init", "--quiet", "--template=", part], in: root).checked("make the checkout")
        // Mirrors lose nothing, so their objects need not lie here as well.
        _ = try await git.asAgent(
            shell:
                #"mkdir -p "$1/.git/objects/info" && printf '%s\n' "$2/objects" > "$1/.git/objects/info/alternates""#,
            [part, mirror.path],
            in: root
        )
        .checked("share the mirror's objects")
        let steps: [([String], String)] =
            [
                (["remote", "add", "origin", request.repositoryURL], "name the remote"),
                (
                    [
                        "fetch", "--quiet", "--no-write-fetch-head", "--force", mirror.path,
                        "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", commit,
                    ], "copy the repository"
                ),
            ] + more + [
                (["checkout", "--quiet", "--force", "-B", request.branch, commit, "--"], "check out the base")
            ] + last
        for (arguments, what) in steps {
            _ = try await git.asAgent(
                arguments,
                in: part,
                usingOwnConfiguration: true,
                deadline: git.configuration.transferDeadline
            )
            .checked(what)
        }
        try await identify(part)
        guard rename(part, path) == 0 else {
            throw BerthError(
                .conflict,
                "the workspace directory '\(request.directory)' exists and is no checkout",
                field: "directory",
                remedy: "choose another name or remove it"
            )
        }
    }

    private func beginEmpty(_ request: WorkspaceRequest, path: String) async throws {
        _ = try await git.asAgent(["init", "--quiet", "--template=", "-b", request.branch, path], in: root)
            .checked("make the checkout")
        _ = try await git.asAgent(["remote", "add", "origin", request.repositoryURL], in: path)
            .checked("name the remote")
        try await identify(path)
    }

    /// The next task of a workspace that is there: what it holds, committed or not, stays.
    private func goOn(_ request: WorkspaceRequest, path: String, from mirror: Mirror, commit: String) async throws
        -> Checkout
    {
        _ = try await git.asAgent(
            [
                "fetch", "--quiet", "--no-write-fetch-head", "--force", mirror.path,
                "+refs/heads/*:refs/remotes/origin/*", commit,
            ],
            in: path,
            usingOwnConfiguration: true,
            deadline: git.configuration.transferDeadline
        )
        .checked("take over what is new")
        let has = try await git.asAgent(
            ["rev-parse", "--verify", "--quiet", "refs/heads/\(request.branch)"],
            in: path
        )
        let arguments = has.succeeded ? [request.branch, "--"] : ["-b", request.branch, commit, "--"]
        let checkout = try await git.asAgent(["checkout", "--quiet"] + arguments, in: path)
        guard checkout.succeeded else {
            throw BerthError(
                .conflict,
                "the workspace cannot change to the branch '\(request.branch)': \(GitFailure.lastLine(checkout.errorText))",
                field: "branch",
                remedy: "commit or remove what stands in the way, or use another workspace"
            )
        }
        let head = try await git.asAgent(["rev-parse", "HEAD"], in: path).checked("read the branch").outputText.trimmed
        return Checkout(path: path, branch: request.branch, baseCommit: head)
    }

    /// Commits need an author; what the person or the repository configured wins.
    func identify(_ path: String) async throws {
        let known = try await git.asAgent(["config", "--get", "user.email"], in: path)
        guard !known.succeeded else { return }
        for (key, value) in [("user.name", "Berth"), ("user.email", "berth@localhost")] {
            _ = try await git.asAgent(["config", key, value], in: path).checked("set the author")
        }
    }

    private func checkRemote(of path: String, is url: String) async throws {
        let remote = try await git.asAgent(["config", "--get", "remote.origin.url"], in: path)
        let known = remote.outputText.trimmed
        guard known == url else {
            throw BerthError(
                .conflict,
                "the workspace directory holds a checkout of \(known.isEmpty ? "something else" : known)",
                field: "directory",
                remedy: "choose another name"
            )
        }
    }
}
