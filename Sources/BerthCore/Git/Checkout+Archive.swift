import Base
public import Domain
internal import Glibc

/// What archiving a working tree came to.
public struct CheckoutEnd: Sendable, Equatable {
    /// Nothing was removed: this would be lost.
    public var losses: [String]
    /// What was left over is in this commit now.
    public var commit: String?
    public var isRemoved: Bool

    public init(losses: [String] = [], commit: String? = nil, isRemoved: Bool = false) {
        self.losses = losses
        self.commit = commit
        self.isRemoved = isRemoved
    }
}

extension CheckoutMaker {
    /// How many losses are named.
    private static let named = 50

    /// Files that no commit, stash or branch holds. Ignored ones do not count.
    public func losses(in path: String) async throws -> [String] {
        let status = try await git.asAgent(["status", "--porcelain", "-z", "--untracked-files=all"], in: path)
            .checked("read the status")
        var losses: [String] = []
        var isOldName = false
        for entry in status.output.split(separator: 0) {
            if isOldName {
                isOldName = false
                continue
            }
            let text = String(decoding: entry, as: UTF8.self)
            isOldName = text.hasPrefix("R") || text.hasPrefix("C")
            losses.append(text.hasPrefix("??") ? "untracked: \(text.dropFirst(3))" : "changed: \(text.dropFirst(3))")
        }
        guard losses.count > Self.named else { return losses }
        return losses.prefix(Self.named) + ["and \(losses.count - Self.named) more"]
    }

    /// Keeps every branch and stash in the mirror, then removes the working tree. Repeated after a death half-way it
    /// goes on; one that is gone already is well.
    /// - Parameters:
    ///   - commitLeftovers: puts what is not committed on the branch first.
    ///   - force: removes what would be lost.
    public func archive(_ request: WorkspaceRequest, in mirror: Mirror, commitLeftovers: Bool, force: Bool) async throws
        -> CheckoutEnd
    {
        try Self.validate(request)
        // A person's own working tree stays as it is.
        guard !request.isInPlace else { return CheckoutEnd(isRemoved: true) }
        let path = path(of: request.directory)
        let gone = "\(root)/.\(request.directory).gone"
        return try await git.turns.with(path) {
            var end = CheckoutEnd(isRemoved: true)
            if access(path + "/.git", F_OK) == 0 {
                if commitLeftovers {
                    let subject = "Left over when the workspace was archived"
                    if let problem = try await commitLeftOver(in: path, task: subject) {
                        throw BerthError(
                            .conflict,
                            problem,
                            field: "commit",
                            remedy: "settle it in the workspace, or archive with --force"
                        )
                    }
                    end.commit = try await git.asAgent(["rev-parse", "HEAD"], in: path).outputText.trimmed
                }
                let losses = force ? [] : try await losses(in: path)
                guard losses.isEmpty else { return CheckoutEnd(losses: losses) }
                let head = try await git.asAgent(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], in: path)
                if head.succeeded {
                    let stashes = try await git.asAgent(["stash", "list", "--format=%H"], in: path)
                        .checked("list the stashes")
                    try await mirror.keep(
                        path,
                        as: request.workspaceID,
                        stashes: stashes.outputText.split(separator: "\n").map(String.init)
                    )
                }
            }
            _ = try await git.asAgent(
                shell:
                    #"if [ -e "$1" ]; then rm -rf -- "$2" && mv -- "$1" "$2"; fi; chmod -R u+rwX -- "$2" 2>/dev/null; rm -rf -- "$2""#,
                [path, gone],
                in: root,
                deadline: git.configuration.transferDeadline
            )
            .checked("remove the working tree")
            return end
        }
    }
}
