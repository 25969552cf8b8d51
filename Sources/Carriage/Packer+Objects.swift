internal import Base

// References, stashes, and the objects that the other side lacks.
extension Packer {
    func manifest(_ state: CheckoutState) throws(BerthError) -> Manifest {
        let head = try git.run(["symbolic-ref", "--quiet", "HEAD"])
        let commit = try git.run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        let headReference = head.status == 0 ? head.line : nil
        var (references, symbolic) = try references(head: headReference)
        references.removeAll { $0.name == "refs/stash" }
        symbolic.removeAll { $0.name == "HEAD" }
        return Manifest(
            version: Manifest.version,
            checkout: order.checkout,
            home: order.home,
            headReference: headReference,
            headCommit: commit.status == 0 ? commit.line : nil,
            references: references,
            symbolicReferences: symbolic,
            stashes: try stashes(),
            settings: try settings(),
            statusDigest: state.statusDigest,
            indexDigest: state.indexDigest
        )
    }

    /// All of the repository's; of one that several worktrees share, this one's branch and what the remote has.
    private func references(head: String?) throws(BerthError) -> ([Manifest.Reference], [Manifest.Reference]) {
        let listed = try git.run(["for-each-ref", "--format=%(refname) %(objectname) %(symref)"])
            .checked("list the branches")
        var references: [Manifest.Reference] = []
        var symbolic: [Manifest.Reference] = []
        for line in listed.text.split(separator: "\n") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            let isForeign = directory.isShared && parts[0].hasPrefix("refs/heads/") && parts[0] != head
            if isForeign || parts[0].hasPrefix("refs/berth/") { continue }
            if parts[2].isEmpty {
                references.append(.init(name: parts[0], object: parts[1]))
            } else {
                symbolic.append(.init(name: parts[0], object: parts[2]))
            }
        }
        return (references, symbolic)
    }

    private func stashes() throws(BerthError) -> [Manifest.Stash] {
        guard try git.run(["rev-parse", "--verify", "--quiet", "refs/stash"]).status == 0 else { return [] }
        let listed = try git.run(["reflog", "show", "--format=%H %gs", "refs/stash"]).checked("list the stashes")
        return listed.text.split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            return Manifest.Stash(object: String(parts[0]), message: parts.count > 1 ? String(parts[1]) : "")
        }
    }

    /// Of the repository's own configuration what says how it is worked in; nothing that names programs or holds
    /// credentials.
    private func settings() throws(BerthError) -> [Manifest.Setting] {
        let listed = try git.run(["config", "--local", "--null", "--list"])
        guard listed.status == 0 else { return [] }
        return PathBytes.fields(listed.bytes).compactMap { field in
            let parts = field.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(decoding: parts[0], as: UTF8.self)
            guard parts.count == 2, SettingRule.travels(key) else { return nil }
            let value = String(decoding: parts[1], as: UTF8.self)
            return Manifest.Setting(key: key, value: SettingRule.withoutPassword(value, of: key))
        }
    }

    /// - Returns: bytes of the pack.
    func putObjects(_ manifest: Manifest, index: String?) throws -> Int64 {
        let wanted =
            manifest.references.map(\.object) + manifest.stashes.map(\.object)
            + (manifest.headCommit.map { [$0] } ?? []) + directory.operationHeads()
            + (try stagedObjects(manifest, index: index))
        let present = try existing(wanted)
        let known = try existing(order.known)
        let lines = present + known.map { "^" + $0 }
        guard !present.isEmpty else { return 0 }
        return try writer.put(.pack) { file in
            _ = try git.run(
                ["pack-objects", "--revs", "--thin", "--stdout", "-q", "--delta-base-offset"],
                input: Array(lines.joined(separator: "\n").utf8) + Array("\n".utf8),
                output: file
            )
            .checked("pack what the other side lacks")
        }
    }

    /// What the index has and HEAD has not, in all stages.
    private func stagedObjects(_ manifest: Manifest, index: String?) throws(BerthError) -> [String] {
        guard index != nil else { return [] }
        var objects: [String] = []
        let isUnborn = manifest.headCommit == nil
        let entries = try git.run(["ls-files", isUnborn ? "--stage" : "--unmerged", "-z"], index: index)
            .checked("read the index")
        for field in PathBytes.fields(entries.bytes) {
            // mode object stage<tab>path
            let parts = String(decoding: field.prefix(80), as: UTF8.self).split(separator: " ")
            if parts.count > 1, parts[0] != "160000" { objects.append(String(parts[1])) }
        }
        if isUnborn { return objects }
        let changed = try git.run(
            ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-visible-in-index", "HEAD"],
            index: index
        )
        .checked("compare the index")
        for field in PathBytes.fields(changed.bytes) where field.first == UInt8(ascii: ":") {
            // :mode mode object object status
            let parts = String(decoding: field, as: UTF8.self).split(separator: " ")
            if parts.count > 3, parts[1] != "160000", parts[3].contains(where: { $0 != "0" }) {
                objects.append(String(parts[3]))
            }
        }
        return objects
    }

    /// Those that are here, each once.
    private func existing(_ objects: [String]) throws(BerthError) -> [String] {
        var seen: Set<String> = []
        let unique = objects.filter { seen.insert($0).inserted }
        guard !unique.isEmpty else { return [] }
        let answer = try git.run(
            ["cat-file", "--batch-check=%(objectname) %(objecttype)"],
            input: Array((unique.joined(separator: "\n") + "\n").utf8)
        )
        .checked("look for objects")
        return answer.text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            return parts.count == 2 && parts[1] != "missing" ? String(parts[0]) : nil
        }
    }
}

/// Which settings of a repository travel.
enum SettingRule {
    private static let exact: Set<String> = [
        "user.name", "user.email", "core.autocrlf", "core.eol", "core.filemode", "core.ignorecase", "pull.rebase",
        "pull.ff", "push.default", "push.autosetupremote", "merge.ff", "rerere.enabled", "core.sparsecheckout",
        "core.sparsecheckoutcone",
    ]
    private static let ofRemotes: Set<String> = ["url", "pushurl", "fetch", "tagopt", "prune"]

    static func travels(_ key: String) -> Bool {
        let last = key.split(separator: ".").last.map(String.init) ?? ""
        if key.hasPrefix("remote.") { return ofRemotes.contains(last) }
        return key.hasPrefix("branch.") || exact.contains(key)
    }

    /// A URL without what stands before the `@` of its host, where that holds a password.
    static func withoutPassword(_ value: String, of key: String) -> String {
        guard key.hasPrefix("remote."), let scheme = value.firstRange(of: "://") else { return value }
        let rest = value[scheme.upperBound...]
        let host = rest.prefix { $0 != "/" }
        guard let at = host.lastIndex(of: "@"), host[..<at].contains(":") else { return value }
        return String(value[..<scheme.upperBound] + rest[rest.index(after: at)...])
    }
}
