public import Base

/// What a task starts from.
public enum StartingPoint: Sendable, Equatable {
    /// The repository has no commit yet.
    case empty
    /// A full object name, as the remote told it.
    case commit(String)
    /// An object name, perhaps shortened, that no branch or tag stands on.
    case unlisted(String)
}

extension Mirror.Offer {
    /// Finds a branch, a tag or a commit by the name a person gives; nil means the remote's default branch.
    /// A branch wins over a tag of the same name.
    public func resolve(_ name: String?, url: String) throws(BerthError) -> StartingPoint {
        guard !references.isEmpty else {
            guard let name else { return .empty }
            throw BerthError(
                .repositoryEmpty,
                "\(url) is empty, so it has no '\(name)'",
                field: "baseReference",
                remedy: "leave the base out to begin with the first commit"
            )
        }
        guard let name else {
            if let defaultBranch, let commit = references["refs/heads/\(defaultBranch)"] { return .commit(commit) }
            if let headCommit { return .commit(headCommit) }
            throw BerthError(
                .reference,
                "\(url) names no default branch"
                    + (defaultBranch.map { ": its HEAD points to '\($0)', which is absent" } ?? ""),
                field: "baseReference",
                remedy: "choose a base: \(known)"
            )
        }
        for candidate in ["refs/heads/\(name)", "refs/tags/\(name)", name] {
            if let commit = references[candidate] { return .commit(commit) }
        }
        let isHexadecimal = (7...64).contains(name.utf8.count) && name.allSatisfy { $0.isHexDigit && $0.isASCII }
        if isHexadecimal { return .unlisted(name.lowercased()) }
        throw missing(name, url: url)
    }

    func missing(_ name: String, url: String) -> BerthError {
        BerthError(
            .reference,
            "\(url) has no branch, tag or commit '\(name.prefix(200))'",
            field: "baseReference",
            remedy: "it has \(known)"
        )
    }

    /// A few names, for a person who mistyped one.
    private var known: String {
        let branches = references.keys.filter { $0.hasPrefix("refs/heads/") }.sorted().map { $0.dropFirst(11) }
        let more = branches.count > 8 ? " and \(branches.count - 8) more" : ""
        return branches.isEmpty ? "no branches" : "the branches \(branches.prefix(8).joined(separator: ", "))\(more)"
    }
}
