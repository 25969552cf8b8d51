internal import Base
internal import FoundationEssentials
internal import Glibc

/// The parts of a git directory that belong to one checkout and are neither objects, references nor index.
struct GitDirectory {
    /// Of this checkout.
    let path: String
    /// Shared with other worktrees of the repository.
    let common: String

    var isShared: Bool { path != common }

    init(_ git: GitProgram) throws(BerthError) {
        let found = try git.run(["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"])
        let lines = found.text.split(separator: "\n").map(String.init)
        guard found.status == 0, lines.count == 2 else {
            throw BerthError(
                .notFound,
                "the workspace's directory is no git checkout",
                remedy: "see what became of it: 'berth terminal'",
                detail: found.errors
            )
        }
        (path, common) = (lines[0], lines[1])
    }

    /// A merge, a rebase, a cherry-pick, a bisection that is under way.
    private static let operations = [
        "ORIG_HEAD", "MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "MERGE_RR", "SQUASH_MSG", "CHERRY_PICK_HEAD",
        "REVERT_HEAD", "REBASE_HEAD", "AUTO_MERGE", "BISECT_LOG", "BISECT_START", "BISECT_TERMS",
        "BISECT_EXPECTED_REV", "BISECT_NAMES", "BISECT_ANCESTORS_OK", "COMMIT_EDITMSG",
    ]
    private static let directories = ["rebase-merge", "rebase-apply", "sequencer"]
    private static let commonDirectories = ["info", "hooks"]
    /// Files among them that begin with an object's name.
    private static let heads: Set<String> = [
        "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "AUTO_MERGE",
        "rebase-merge/orig-head", "rebase-merge/onto", "rebase-merge/stopped-sha", "rebase-merge/amend",
        "rebase-merge/squash-onto", "rebase-apply/orig-head", "rebase-apply/onto", "rebase-apply/abort-safety",
        "sequencer/head", "sequencer/abort-safety",
    ]

    /// Relative names with where they lie, in order.
    var files: [(name: String, place: String)] {
        var found = Self.operations.map { ($0, "\(path)/\($0)") }
        for directory in Self.directories { found += Self.below(directory, of: path) }
        for directory in Self.commonDirectories {
            found += Self.below(directory, of: common).filter { !$0.name.hasSuffix(".sample") }
        }
        return found.filter { access($0.1, R_OK) == 0 }
    }

    var shallow: String? { access(common + "/shallow", R_OK) == 0 ? common + "/shallow" : nil }

    var index: String { path + "/index" }

    /// Objects that operations under way stand on.
    func operationHeads() -> [String] {
        files.filter { Self.heads.contains($0.name) }.compactMap { file in
            FileManager.default.contents(atPath: file.place).flatMap { content in
                let word = String(decoding: content.prefix(64), as: UTF8.self)
                    .prefix { $0.isHexDigit }
                return word.count >= 40 ? String(word) : nil
            }
        }
    }

    /// May be written where a checkout is made: never its configuration, its objects or its references.
    static func accepts(_ name: String) -> Bool {
        operations.contains(name)
            || (directories + commonDirectories).contains { name.hasPrefix($0 + "/") }
    }

    private static func below(_ directory: String, of path: String) -> [(name: String, place: String)] {
        let all = (try? FileManager.default.subpathsOfDirectory(atPath: "\(path)/\(directory)")) ?? []
        return all.sorted().compactMap { name in
            var status = stat()
            let place = "\(path)/\(directory)/\(name)"
            guard lstat(place, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            return ("\(directory)/\(name)", place)
        }
    }
}
