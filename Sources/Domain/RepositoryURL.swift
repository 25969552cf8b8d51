public import Base

/// Where a repository is: http(s), ssh, `user@host:path`, an absolute path in the environment, or `local:name-hash` for one
/// on the caller's own machine. Never with a password in it.
public struct RepositoryURL: Hashable, Sendable, CustomStringConvertible {
    /// What git is given: scheme and host in lower case, no trailing slash.
    public let text: String

    public var description: String { text }

    /// The last part of the path, without `.git`.
    public var name: String {
        var last = text.split(whereSeparator: { $0 == "/" || $0 == ":" }).last.map(String.init) ?? "repository"
        if isLocal, let dash = last.lastIndex(of: "-"), dash > last.startIndex { last = String(last[..<dash]) }
        if last.hasSuffix(".git"), last.count > 4 { last.removeLast(4) }
        return last
    }

    /// Known by a name that its owner's machine gives it; its content comes as an upload.
    public var isLocal: Bool { text.hasPrefix(Self.localPrefix) }

    public static let localPrefix = "local:"

    /// Whether ssh carries git there.
    public var isSSH: Bool {
        text.hasPrefix("ssh://") || !(isLocal || text.hasPrefix("/") || text.contains("://"))
    }

    public init(_ input: String, field: String = "repository.url") throws(BerthError) {
        let text = input.trimmed
        guard !text.isEmpty else { throw Self.refused("the URL is empty", field) }
        guard text.utf8.count <= 2048 else { throw Self.refused("the URL is longer than 2048 bytes", field) }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw Self.refused("the URL contains white space or a control character", field)
        }
        guard !text.hasMarkedSign else { throw Self.refused("in the URL a combining mark follows a sign", field) }
        // git would take it for an option.
        guard !text.looksLikeOption else { throw Self.refused("the URL begins with '-'", field) }
        // Whatever its case: as a host's name it would become the prefix.
        if text.prefix(Self.localPrefix.count).lowercased() == Self.localPrefix {
            let name = text.dropFirst(Self.localPrefix.count)
            let isPlain = name.unicodeScalars.allSatisfy {
                $0.isASCII
                    && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-".unicodeScalars.contains($0))
            }
            guard isPlain, (1...200).contains(name.utf8.count) else {
                throw Self.refused("what follows 'local:' is no name", field)
            }
            self.text = Self.localPrefix + name
        } else if text.hasPrefix("/") {
            self.text = Self.withoutTrailingSlash(text)
        } else if let scheme = text.firstRange(of: "://") {
            self.text = try Self.absolute(text, scheme, field)
        } else {
            self.text = try Self.short(text, field)
        }
    }

    private static func absolute(_ text: String, _ separator: Range<String.Index>, _ field: String) throws(BerthError)
        -> String
    {
        let scheme = text[..<separator.lowerBound].lowercased()
        let rest = text[separator.upperBound...]
        if scheme == "file" {
            guard rest.hasPrefix("/") else { throw refused("a file URL needs an absolute path", field) }
            return withoutTrailingSlash(String(rest))
        }
        guard ["https", "http", "ssh"].contains(scheme) else {
            throw refused("'\(scheme)' is not a scheme that Berth clones from", field)
        }
        let authority = rest.prefix { $0 != "/" }
        let path = rest[authority.endIndex...]
        guard path.contains(where: { $0 != "/" }) else { throw refused("the URL names no repository", field) }
        let parts = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.last, !host.isEmpty, !host.looksLikeOption else {
            throw refused("the URL names no host", field)
        }
        var user = ""
        if parts.count == 2 {
            guard scheme == "ssh", !parts[0].contains(":") else { throw credentials(field) }
            user = parts[0] + "@"
        }
        guard !path.contains("?"), !path.contains("#") else {
            throw refused("the URL has a query or a fragment", field)
        }
        return withoutTrailingSlash("\(scheme)://\(user)\(host.lowercased())\(path)")
    }

    /// `user@host:path`, as git and ssh write it.
    private static func short(_ text: String, _ field: String) throws(BerthError) -> String {
        guard let colon = text.firstIndex(of: ":"), !text[..<colon].contains("/") else {
            throw refused("'\(text.prefix(80))' is no absolute URL or path", field)
        }
        let login = text[..<colon].split(separator: "@", omittingEmptySubsequences: false)
        guard login.count <= 2, let host = login.last, !host.isEmpty, !host.looksLikeOption else {
            throw login.count > 2 ? credentials(field) : refused("the URL names no host", field)
        }
        let path = text[text.index(after: colon)...]
        guard path.contains(where: { $0 != "/" }) else { throw refused("the URL names no repository", field) }
        // user:password@host:path splits at the password's colon and leaves an @ in what looks like the path.
        guard !path.contains("@") else { throw credentials(field) }
        let user = login.count == 2 ? login[0] + "@" : ""
        return withoutTrailingSlash("\(user)\(host.lowercased()):\(path)")
    }

    private static func withoutTrailingSlash(_ text: String) -> String {
        var text = text
        while text.count > 1, text.hasSuffix("/") { text.removeLast() }
        return text
    }

    private static func refused(_ problem: String, _ field: String) -> BerthError {
        BerthError(
            .invalidValue,
            problem,
            field: field,
            remedy: "write https://host/path, ssh://user@host/path, user@host:path or an absolute path"
        )
    }

    /// The URL is not repeated: it holds a secret.
    private static func credentials(_ field: String) -> BerthError {
        BerthError(
            .invalidValue,
            "the URL has a login in it",
            field: field,
            remedy: "remove it from the URL and give it apart: gitCredentials in the API, --git-secret for 'berth run'"
        )
    }
}
