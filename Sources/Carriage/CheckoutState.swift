internal import Base
internal import OpenSSL

/// What git says of a checkout, as both sides ask it, so that what came can be compared with what was sent.
struct CheckoutState {
    /// `git status --porcelain=v2 -z`.
    let status: [UInt8]
    /// `git ls-files --stage --debug`-like: mode, object, stage, flags and path of every entry.
    let entries: [UInt8]

    init(_ git: GitProgram, index: String? = nil) throws(BerthError) {
        status = try git.run(
            ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignored=no"],
            index: index
        )
        .checked("look at the working tree").bytes
        entries =
            try git.run(["ls-files", "--stage", "-z"], index: index).checked("read the index").bytes
            + git.run(["ls-files", "-t", "-v", "-z"], index: index).checked("read the index").bytes
    }

    var statusDigest: String { Hex.encode(SHA256.hash(status)) }
    var indexDigest: String { Hex.encode(SHA256.hash(entries)) }

    /// One path that is not as the index has it.
    struct Change {
        enum Kind { case changed, deleted, untracked }
        var kind: Kind
        var path: [UInt8]
    }

    /// Of the working tree against the index, and how many entries of the index differ from HEAD.
    func changes() throws(BerthError) -> (tree: [Change], staged: Int) {
        var tree: [Change] = []
        var staged = 0
        for field in PathBytes.fields(status) {
            switch field.first {
            case UInt8(ascii: "1"):
                let (x, y) = (field[2], field[3])
                if x != UInt8(ascii: ".") { staged += 1 }
                try Self.refuseDirtySubmodule(field)
                if y == UInt8(ascii: ".") { continue }
                tree.append(
                    Change(kind: y == UInt8(ascii: "D") ? .deleted : .changed, path: Self.path(field, after: 8))
                )
            case UInt8(ascii: "u"):
                staged += 1
                tree.append(Change(kind: .changed, path: Self.path(field, after: 10)))
            case UInt8(ascii: "?"): tree.append(Change(kind: .untracked, path: Self.path(field, after: 1)))
            default: break
            }
        }
        // What git was told not to look at.
        for field in PathBytes.fields(entries) where field.count > 2 && field[1] == UInt8(ascii: " ") {
            let tag = field[0]
            let isHidden = tag == UInt8(ascii: "S") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(tag)
            if isHidden { tree.append(Change(kind: .changed, path: Array(field[2...]))) }
        }
        return (tree, staged)
    }

    /// The path behind so many spaces.
    private static func path(_ field: [UInt8], after spaces: Int) -> [UInt8] {
        var seen = 0
        for (index, byte) in field.enumerated() where byte == UInt8(ascii: " ") {
            seen += 1
            if seen == spaces { return Array(field[(index + 1)...]) }
        }
        return []
    }

    /// `1 XY sub …`: sub is `N...`, or `S` with C, M and U for what differs inside.
    private static func refuseDirtySubmodule(_ field: [UInt8]) throws(BerthError) {
        guard field.count > 9, field[5] == UInt8(ascii: "S") else { return }
        guard field[6...8].contains(where: { $0 != UInt8(ascii: ".") }) else { return }
        throw BerthError(
            .conflict,
            "the submodule '\(String(decoding: path(field, after: 8), as: UTF8.self))' has changes of its own, "
                + "which do not travel",
            remedy: "commit and push them there, and record the commit here"
        )
    }
}
