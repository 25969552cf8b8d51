import Base
import Domain

/// Names that end up in git's arguments.
enum NameFuzz {
    static func run(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        if let url = try? RepositoryURL(text) {
            check(url.text)
            Fuzz.check(!url.name.isEmpty, "no name in \(url.text)")
            _ = url.isSSH
            Fuzz.check((try? RepositoryURL(url.text)) == url, "\(url.text) is not accepted again as it is")
        }
        if let branch = try? BranchName(text) {
            check(branch.text)
            Fuzz.check(isPlain(branch.text), "\(branch.text) is no branch to git")
            Fuzz.check((try? BranchName(branch.text)) == branch, "\(branch.text) is not accepted again as it is")
        }
        let slug = BranchName.slug(text, limit: 40)
        Fuzz.check(slug.utf8.count <= 40, "a slug of \(slug.utf8.count) bytes")
        if !slug.isEmpty { Fuzz.check((try? BranchName(slug)) != nil, "the slug \(slug) is no branch name") }
    }

    /// git-check-ref-format(1), byte by byte: text compares by characters, and a combining mark hides what it follows.
    private static func isPlain(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        for (first, second) in zip(bytes, bytes.dropFirst()) {
            switch (first, second) {
            case (UInt8(ascii: "."), UInt8(ascii: ".")), (UInt8(ascii: "/"), UInt8(ascii: ".")),
                (UInt8(ascii: "/"), UInt8(ascii: "/")), (UInt8(ascii: "@"), UInt8(ascii: "{")):
                return false
            default: continue
            }
        }
        let ends: [UInt8?] = [UInt8(ascii: "/"), UInt8(ascii: ".")]
        return !ends.contains(bytes.first) && !ends.contains(bytes.last)
            && !bytes.contains { "~^:?*[\\".utf8.contains($0) }
    }

    private static func check(_ text: String) {
        Fuzz.check(text.utf8.first != UInt8(ascii: "-"), "an option: \(text)")
        Fuzz.check(!text.utf8.contains { $0 <= 0x20 || $0 == 0x7F }, "white space or control in \(text)")
    }
}
