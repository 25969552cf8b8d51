internal import Base
internal import FoundationEssentials
internal import Glibc

/// Makes a packed checkout again, beside its final place, and compares it with what was sent.
public struct Restorer {
    let order: RestoreOrder
    let git: GitProgram
    private var manifest: Manifest?
    private var hasIndex = false
    private var gitFiles: [(name: String, mode: UInt32, bytes: [UInt8])] = []

    /// Runs as the user whose files they become. Safe to repeat; what an earlier try left is removed first.
    public static func restore(_ order: RestoreOrder) throws -> Manifest {
        let file = open(order.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw OpenedFile.failure("opened", order.file) }
        defer { close(file) }
        var restorer = Restorer(order)
        do {
            return try restorer.run(EntryReader(file))
        } catch {
            try? FileManager.default.removeItem(atPath: order.part)
            throw error
        }
    }

    /// Removes what ``restore(_:)`` made, where it is not the checkout yet.
    public static func discard(_ order: RestoreOrder) throws {
        guard access(order.part, F_OK) == 0 else { return }
        try FileManager.default.removeItem(atPath: order.part)
    }

    private init(_ order: RestoreOrder) {
        self.order = order
        git = GitProgram(programs: order.programs, home: order.home, directory: order.part)
    }

    private mutating func run(_ given: consuming EntryReader) throws -> Manifest {
        var reader = given
        guard let first = try reader.next(), first.kind == .manifest else { throw Entry.damaged("it has no beginning") }
        let manifest = try JSONDecoder().decode(Manifest.self, from: Data(try reader.whole(upTo: 64 << 20)))
        guard manifest.version == Manifest.version else {
            throw BerthError(
                .unsupported,
                "the other side packs workspaces in version \(manifest.version), this one reads \(Manifest.version)",
                remedy: "bring both servers to the same version"
            )
        }
        self.manifest = manifest
        try begin()
        let root = open(order.part, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw OpenedFile.failure("opened", order.part) }
        defer { close(root) }
        let tree = ConfinedTree(root)
        var isFilled = false
        while let entry = try reader.next() {
            switch entry.kind {
            case .shallow: try write(try reader.whole(upTo: 64 << 20), to: ".git/shallow")
            case .pack: try takePack(&reader, size: entry.size)
            case .index:
                try write(try reader.whole(upTo: 1 << 30), to: ".git/index")
                hasIndex = true
            case .gitFile:
                guard entry.isConfined, GitDirectory.accepts(entry.name) else {
                    throw Entry.damaged("'\(entry.name.prefix(80))' has no place in a git directory")
                }
                gitFiles.append((entry.name, entry.mode, try reader.whole(upTo: 64 << 20)))
            case .file, .link, .deletion:
                guard entry.isConfined, !entry.isInsideGit else {
                    throw Entry.damaged("'\(entry.name.prefix(80))' leads out of the checkout")
                }
                if !isFilled { try fill(manifest) }
                isFilled = true
                try take(entry, &reader, tree)
            case .transcript: try takeTranscript(entry, &reader, manifest)
            case .terminal, .terminalBytes, .terminalTimes, .session: break
            case .manifest, .end: throw Entry.damaged("a part stands where it cannot")
            }
        }
        if !isFilled { try fill(manifest) }
        try finish(manifest)
        return manifest
    }

    /// An empty repository that has, or borrows, the objects that are here already.
    private func begin() throws {
        if access(order.part, F_OK) == 0 { try FileManager.default.removeItem(atPath: order.part) }
        let outside = GitProgram(programs: order.programs, home: order.home, directory: order.root)
        _ = try outside.run(["init", "--quiet", "--template=", order.part]).checked("make the checkout")
        guard mkdir(order.part + "/.git/berth", 0o755) == 0, mkdir(order.part + "/.git/info", 0o755) == 0 else {
            throw OpenedFile.failure("made", order.part)
        }
        var borrowed = order.mirror.map { ["\($0)/objects"] } ?? []
        if let twin = order.twin {
            let from = GitProgram(programs: order.programs, home: order.home, directory: twin)
            if let objects = try? GitDirectory(from).common + "/objects" {
                try LinkedObjects.link(objects, into: order.part + "/.git/objects")
                let more = FileManager.default.contents(atPath: objects + "/info/alternates") ?? Data()
                borrowed += String(decoding: more, as: UTF8.self).split(separator: "\n").map(String.init)
            }
        }
        var seen: Set<String> = []
        let lines = borrowed.filter { access($0, F_OK) == 0 && seen.insert($0).inserted }
        if !lines.isEmpty {
            try write(Array((lines.joined(separator: "\n") + "\n").utf8), to: ".git/objects/info/alternates")
        }
    }

    private func takePack(_ reader: inout EntryReader, size: Int64) throws {
        // 12 bytes of head, 20 or 32 of digest: a pack of nothing.
        if size <= 44 { return }
        let place = order.part + "/.git/berth/pack"
        let file = open(place, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw OpenedFile.failure("made", place) }
        defer {
            close(file)
            unlink(place)
        }
        while case let bytes = try reader.read(upTo: 1 << 18), !bytes.isEmpty { try OpenedFile.write(bytes, to: file) }
        lseek(file, 0, SEEK_SET)
        _ = try git.run(["index-pack", "--stdin", "--fix-thin"], inputFile: file).checked("take over the objects")
    }

    /// References, HEAD and settings, then the tree as the index has it.
    private func fill(_ manifest: Manifest) throws {
        let tips =
            manifest.references.map(\.object) + manifest.stashes.map(\.object)
            + (manifest.headCommit.map { [$0] } ?? [])
        try checkConnected(tips)
        for setting in manifest.settings where SettingRule.travels(setting.key) {
            _ = try git.run(["config", "--local", "--add", setting.key, setting.value]).checked("set what it needs")
        }
        let head = try manifest.headReference.map { ["symbolic-ref", "HEAD", try safe($0)] }
        if let head { _ = try git.run(head).checked("set the branch") }
        let updates = try manifest.references.map { "update \(try safe($0.name)) \(try safe($0.object))\n" }
        _ = try git.run(["update-ref", "--stdin"], input: Array(updates.joined().utf8)).checked("set the branches")
        for reference in manifest.symbolicReferences {
            _ = try git.run(["symbolic-ref", try safe(reference.name), try safe(reference.object)])
                .checked("set the branches")
        }
        if manifest.headReference == nil, let commit = manifest.headCommit {
            _ = try git.run(["update-ref", "--no-deref", "HEAD", try safe(commit)]).checked("set HEAD")
        }
        for stash in manifest.stashes.reversed() {
            _ = try git.run(["stash", "store", "-m", stash.message, try safe(stash.object)]).checked("keep a stash")
        }
        guard hasIndex else { return }
        _ = try git.run(["checkout-index", "--all", "--force", "--quiet", "--index"]).checked("write the files")
    }

    /// Everything between what was here and these can be read.
    private func checkConnected(_ tips: [String]) throws {
        let lines = try Set(tips).sorted().map { try safe($0) }
        guard !lines.isEmpty else { return }
        let result = try git.run(["rev-list", "--objects", "--quiet"] + lines + ["--not", "--alternate-refs"])
        guard result.status == 0 else {
            throw BerthError(
                .conflict,
                "objects of the workspace are missing",
                remedy: "send it again",
                detail: String(result.errors.suffix(2000)),
                isRetryable: true
            )
        }
    }

    private func take(_ entry: Entry, _ reader: inout EntryReader, _ tree: ConfinedTree) throws {
        switch entry.kind {
        case .deletion: try tree.remove(entry.path)
        case .link: try tree.link(entry.path, to: try reader.whole(upTo: Entry.longestPath))
        default:
            let file = try tree.make(entry.path, mode: entry.mode)
            defer { close(file) }
            while case let bytes = try reader.read(upTo: 1 << 18), !bytes.isEmpty {
                try OpenedFile.write(bytes, to: file)
            }
            guard fdatasync(file) == 0 else { throw OpenedFile.failure("written") }
        }
    }

    /// Kept in the git directory until the checkout is in its place.
    private func takeTranscript(_ entry: Entry, _ reader: inout EntryReader, _ manifest: Manifest) throws {
        guard entry.isConfined,
            Transcripts.place(of: entry.name, checkout: order.checkout, home: order.home) != nil
        else { throw Entry.damaged("'\(entry.name.prefix(80))' is no agent's file") }
        try? FileManager.default.createDirectory(atPath: order.memory, withIntermediateDirectories: true)
        let root = open(order.memory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw OpenedFile.failure("opened", order.memory) }
        defer { close(root) }
        let file = try ConfinedTree(root).make(entry.path, mode: entry.mode)
        defer { close(file) }
        var rewriter = PathRewriter(
            Transcripts.isText(entry.name)
                ? Transcripts.replacements(
                    from: (manifest.checkout, manifest.home),
                    to: (order.checkout, order.home)
                ) : []
        )
        while case let bytes = try reader.read(upTo: 1 << 18), !bytes.isEmpty {
            try OpenedFile.write(rewriter.feed(bytes), to: file)
        }
        try OpenedFile.write(rewriter.finish(), to: file)
        guard fdatasync(file) == 0 else { throw OpenedFile.failure("written") }
    }

    /// What is under way, then the comparison; durable when it returns.
    private func finish(_ manifest: Manifest) throws {
        for file in gitFiles {
            try write(file.bytes, to: ".git/\(file.name)")
            chmod("\(order.part)/.git/\(file.name)", mode_t(file.mode & 0o777))
        }
        if hasIndex { _ = try git.run(["update-index", "-q", "--refresh"]) }
        let state = try CheckoutState(git)
        guard state.indexDigest == manifest.indexDigest, state.statusDigest == manifest.statusDigest else {
            let what = state.indexDigest == manifest.indexDigest ? "working tree" : "index"
            throw BerthError(
                .internal,
                "the \(what) that was made is not the one that was sent",
                remedy: "nothing was changed; report this, with the server's log",
                detail: String(decoding: state.status.prefix(2000), as: UTF8.self)
            )
        }
        try write(Array(order.token.utf8), to: ".git/berth/token")
        for name in [".git/index", ".git/packed-refs", ".git/HEAD", ".git"] {
            try OpenedFile.sync("\(order.part)/\(name)")
        }
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        let path = "\(order.part)/\(name)"
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw OpenedFile.failure("made", path) }
        defer { close(file) }
        try OpenedFile.write(bytes, to: file)
        guard fdatasync(file) == 0 else { throw OpenedFile.failure("written") }
    }

    /// A name that no command of git's takes for an option or for two.
    private func safe(_ name: String) throws(BerthError) -> String {
        guard !name.isEmpty, !name.looksLikeOption, !name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw Entry.damaged("'\(name.prefix(80))' is no name")
        }
        return name
    }
}
