public import Base

/// A GitHub issue: `https://HOST/OWNER/REPOSITORY/issues/NUMBER`.
public struct IssueURL: Sendable, Equatable, CustomStringConvertible {
    public let host: String
    public let owner: String
    public let repository: String
    public let number: Int

    public var description: String { "https://\(host)/\(owner)/\(repository)/issues/\(number)" }
    /// Of the repository that the issue is about.
    public var repositoryURL: String { "https://\(host)/\(owner)/\(repository)" }

    /// Strict: no query, no user, no other page of the repository. A fragment, such as a comment's, is left out.
    public init(_ text: String, field: String = "issueUrl") throws(BerthError) {
        func refused(_ what: String) -> BerthError {
            BerthError(
                .invalidValue,
                "'\(text.prefix(200))' is no issue's URL: \(what)",
                field: field,
                remedy: "copy it from the browser: https://github.com/OWNER/REPOSITORY/issues/NUMBER"
            )
        }
        let whole = text.trimmed
        guard whole.lowercased().hasPrefix("https://") else { throw refused("it does not begin with https://") }
        let address = whole.dropFirst("https://".count).prefix { $0 != "#" }
        guard !address.contains("?") else { throw refused("it has a query") }
        var parts = address.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.last == "" { parts.removeLast() }
        guard parts.count == 5, parts[3] == "issues" else {
            throw refused(parts.count > 3 && parts[3] == "pull" ? "it is a pull request's" : "it names no issue")
        }
        let digits = parts[4]
        guard !digits.isEmpty, digits.count <= 9, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits), number > 0
        else { throw refused("'\(digits.prefix(40))' is no number of an issue") }
        func isPlain(_ name: String) -> Bool {
            !name.isEmpty && name.utf8.count <= 100 && name != "." && name != ".." && !name.looksLikeOption
                && name.unicodeScalars.allSatisfy {
                    $0.isASCII
                        && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-".unicodeScalars.contains($0))
                }
        }
        guard isPlain(parts[0]), parts[0].contains("."), isPlain(parts[1]), isPlain(parts[2]) else {
            throw refused("host, owner or repository is none")
        }
        host = parts[0].lowercased()
        owner = parts[1]
        repository = parts[2].hasSuffix(".git") ? String(parts[2].dropLast(4)) : parts[2]
        self.number = number
    }

    /// `issue-NUMBER`, with words of the title where it is known.
    public func branch(title: String?) -> String {
        let words = BranchName.slug(title ?? "", limit: 40)
        return "berth/issue-\(number)" + (words.isEmpty ? "" : "-\(words)")
    }
}

/// A GitHub pull request: `https://HOST/OWNER/REPOSITORY/pull/NUMBER`.
public struct PullRequestURL: Sendable, Equatable {
    public let number: Int

    public init(_ text: String, field: String = "pullRequestUrl") throws(BerthError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 7, parts[0] == "https:", parts[1].isEmpty, parts[5] == "pull",
            parts[2...4].allSatisfy({ !$0.isEmpty }), let number = Int(parts[6]), number > 0
        else {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(200))' is no pull request's URL",
                field: field,
                remedy: "copy it from the browser: https://github.com/OWNER/REPOSITORY/pull/NUMBER"
            )
        }
        self.number = number
    }
}
