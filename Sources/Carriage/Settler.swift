internal import Base
internal import FoundationEssentials
internal import Glibc

/// The end of a hand-over on either side.
public enum Settler {
    /// Puts what ``Restorer`` made into its place: the agents' memory first, then the checkout by one rename. What lay
    /// there is kept beside it. Safe to repeat.
    public static func settle(_ order: RestoreOrder) throws {
        let token = FileManager.default.contents(atPath: order.mark(order.checkout))
        if token.map({ String(decoding: $0, as: UTF8.self) }) == order.token { return }
        guard access(order.part, F_OK) == 0 else {
            throw BerthError(
                .notFound,
                "what came of the workspace is gone",
                remedy: "take the workspace back where it came from: 'berth ws take NAME --force'"
            )
        }
        try moveMemory(order)
        if access(order.checkout, F_OK) == 0, rename(order.checkout, order.earlier) != 0 {
            throw OpenedFile.failure("moved", order.checkout)
        }
        guard rename(order.part, order.checkout) == 0 else { throw OpenedFile.failure("moved", order.part) }
        try OpenedFile.sync(order.root)
    }

    private static func moveMemory(_ order: RestoreOrder) throws {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: order.memory)) ?? []
        for name in names.sorted() {
            let source = "\(order.memory)/\(name)"
            var status = stat()
            guard lstat(source, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
                let place = Transcripts.place(of: name, checkout: order.checkout, home: order.home)
            else { continue }
            let directory = String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)])
            try FileManager.default.createDirectory(
                atPath: directory,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            if rename(source, place) == 0 { continue }
            let part = "\(place).\(order.token)"
            try? FileManager.default.removeItem(atPath: part)
            try FileManager.default.copyItem(atPath: source, toPath: part)
            guard rename(part, place) == 0 else { throw OpenedFile.failure("moved", place) }
            unlink(source)
        }
    }

    /// Removes the version that a settled hand-over replaced.
    public static func removeEarlier(_ order: RestoreOrder) throws {
        guard access(order.earlier, F_OK) == 0 else { return }
        try FileManager.default.removeItem(atPath: order.earlier)
    }

    /// Keeps the present version of a checkout that has another owner now, committed or not, as a branch. Nothing else
    /// changes in it. Safe to repeat: the branch then stays as it is.
    /// - Returns: the branch's commit; nil where there is nothing to keep.
    public static func keepOrphan(checkout: String, home: String, programs: String, branch: String) throws -> String? {
        let git = GitProgram(programs: programs, home: home, directory: checkout)
        let directory = try GitDirectory(git)
        let reference = "refs/heads/\(branch)"
        let known = try git.run(["rev-parse", "--verify", "--quiet", reference])
        if known.status == 0 { return known.line }
        let copy = directory.path + "/berth-orphan-index"
        defer { unlink(copy) }
        if let bytes = FileManager.default.contents(atPath: directory.index) {
            try bytes.write(to: URL(filePath: copy))
        }
        _ = try git.run(["add", "--all", "--ignore-errors", "."], index: copy).checked("take in the files")
        let tree = try git.run(["write-tree"], index: copy).checked("write the tree").line
        let head = try git.run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        let parent = head.status == 0 ? ["-p", head.line] : []
        let author = ["-c", "user.name=Berth", "-c", "user.email=berth@localhost"]
        let commit = try git.run(
            author + ["commit-tree", tree] + parent + ["-m", "Kept when the workspace got another owner"]
        )
        .checked("keep the version").line
        _ = try git.run(["update-ref", reference, commit]).checked("keep the version")
        return commit
    }
}
