public import Base

/// What git may clone from: https, http, ssh, `user@host:path`, an absolute path, or `local:name` for a repository of the
/// caller's own machine, which comes as a bundle. Never with credentials in it.
public struct GitURL: Sendable, Equatable, CustomStringConvertible {
    public let text: String
    /// `https` or `http`, with the host and its port, for which a credential may be asked; nil for the others.
    public let credentialTarget: CredentialTarget?

    public struct CredentialTarget: Sendable, Equatable {
        public var scheme: String
        /// Host, with the port where the URL has one.
        public var host: String
    }

    /// What carries git to the remote.
    public let transport: Transport

    public enum Transport: Sendable, Equatable {
        case http, ssh
        /// A path in the environment.
        case path
        /// A bundle that the caller has sent.
        case bundle
    }

    public var description: String { text }

    /// User, host and port as they are written; empty for a path.
    var authority: Substring {
        let parts = text.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count > 2 && parts[0].hasSuffix(":") && parts[1].isEmpty
            ? parts[2] : text.prefix { $0 != ":" && $0 != "/" }
    }

    public init(_ text: String, field: String = "repositoryUrl") throws(BerthError) {
        func refused(_ problem: String, remedy: String = GitURL.forms) -> BerthError {
            BerthError(.invalidValue, problem, field: field, remedy: remedy)
        }
        guard !text.isEmpty, text.utf8.count <= 2048 else { throw refused("a repository URL has 1 to 2048 bytes") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw refused("the repository URL contains white space or control characters")
        }
        self.text = text
        if text.hasPrefix("/") {
            credentialTarget = nil
            transport = .path
            return
        }
        if text.hasPrefix(Self.localPrefix) {
            let name = text.dropFirst(Self.localPrefix.count)
            let isPlain = name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45
                    || byte == 46 || byte == 95
            }
            guard isPlain, (1...200).contains(name.utf8.count) else {
                throw refused(
                    "the name of a local repository is of a form not known here",
                    remedy: "letters, digits, '.', '_' and '-' after 'local:'"
                )
            }
            credentialTarget = nil
            transport = .bundle
            return
        }
        guard let scheme = text.range(of: "://") else {
            guard Self.isSCPForm(text) else { throw refused("the repository URL is of a form not known here") }
            credentialTarget = nil
            transport = .ssh
            return
        }
        let name = String(text[..<scheme.lowerBound])
        let authority = text[scheme.upperBound...].prefix { $0 != "/" }
        guard !authority.isEmpty else { throw refused("the repository URL names no host") }
        switch name {
        case "https", "http":
            guard !authority.contains("@") else {
                throw refused(
                    "the repository URL contains a user or a credential",
                    remedy: "take it out of the URL and pass it as a git credential"
                )
            }
            transport = .http
            credentialTarget = CredentialTarget(scheme: name, host: String(authority).lowercased())
        case "ssh":
            let user = authority.split(separator: "@", omittingEmptySubsequences: false).dropLast().joined()
            guard !user.contains(":") else {
                throw refused(
                    "the repository URL contains a password",
                    remedy: "use a key; ssh takes no password from a URL"
                )
            }
            guard !authority.looksLikeOption else { throw refused("the host begins with '-'") }
            credentialTarget = nil
            transport = .ssh
        default: throw refused("'\(name)://' is not a kind of repository URL known here")
        }
    }

    /// Begins the name of a repository on the caller's own machine.
    public static let localPrefix = "local:"

    private static let forms = "use https://…, http://…, ssh://…, user@host:path or an absolute path"

    /// `user@host:path`, as git reads it: a colon before the first slash.
    private static func isSCPForm(_ text: String) -> Bool {
        guard !text.looksLikeOption, let at = text.firstIndex(of: "@"), let colon = text.firstIndex(of: ":") else {
            return false
        }
        let firstSlash = text.firstIndex(of: "/") ?? text.endIndex
        let user = text[..<at]
        let host = text[at...].dropFirst().prefix { $0 != ":" }
        let hasOnlyNames = (user + host).allSatisfy { $0.isLetter || $0.isNumber || "._-".contains($0) }
        return at < colon && colon < firstSlash && !user.isEmpty && !host.isEmpty && hasOnlyNames
            && !host.looksLikeOption && text.index(after: colon) < text.endIndex
    }
}

extension String {
    /// FoundationEssentials' search is not needed for one plain needle.
    fileprivate func range(of needle: String) -> Range<String.Index>? { firstRange(of: needle) }
}
