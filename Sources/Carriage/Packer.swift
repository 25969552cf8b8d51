internal import Base
internal import FoundationEssentials
internal import Glibc

/// Packs a checkout with all that is not in its commits. Changes nothing in it.
public struct Packer {
    let order: PackOrder
    let git: GitProgram
    let directory: GitDirectory
    let writer: EntryWriter
    var summary = PackSummary(
        branch: nil,
        head: nil,
        packBytes: 0,
        files: 0,
        untracked: 0,
        staged: 0,
        stashes: 0,
        transcripts: 0,
        leftBehind: [],
        skipped: []
    )

    /// Runs as the user whose files they are. The file gets everything but the end, so that more can follow.
    public static func pack(_ order: PackOrder) throws -> PackSummary {
        let file = open(order.file, O_RDWR | O_TRUNC | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw OpenedFile.failure("opened", order.file) }
        defer { close(file) }
        var packer = try Packer(order, EntryWriter(file))
        try packer.run()
        return packer.summary
    }

    private init(_ order: PackOrder, _ writer: EntryWriter) throws(BerthError) {
        self.order = order
        self.writer = writer
        git = GitProgram(programs: order.programs, home: order.home, directory: order.checkout)
        directory = try GitDirectory(git)
    }

    private mutating func run() throws {
        guard access(directory.index + ".lock", F_OK) != 0 else {
            throw BerthError(
                .conflict,
                "a git command is at work in the workspace",
                remedy: "wait for its end; where none runs, remove '\(directory.index).lock'"
            )
        }
        let index = try indexCopy()
        defer { if let index { unlink(index) } }
        let state = try CheckoutState(git, index: index)
        let (changes, staged) = try state.changes()
        summary.staged = staged
        let manifest = try manifest(state)
        summary.branch = manifest.headReference.map { String($0.dropFirst("refs/heads/".count)) }
        summary.head = manifest.headCommit
        summary.stashes = manifest.stashes.count
        try writer.put(.manifest, Array(JSONEncoder().encode(manifest)))
        if let shallow = directory.shallow { try writer.put(.shallow, file: shallow) }
        summary.packBytes = try putObjects(manifest, index: index)
        if let index { try writer.put(.index, file: index) }
        for file in directory.files { try writer.put(.gitFile, path: Array(file.name.utf8), file: file.place) }
        try putTree(changes)
        for transcript in Transcripts.found(checkout: order.checkout, home: order.home) {
            try writer.put(.transcript, path: Array(transcript.name.utf8), file: transcript.place)
            summary.transcripts += 1
        }
    }

    /// The index in one file; nil where there is none yet. git may keep it split over two.
    private func indexCopy() throws(BerthError) -> String? {
        guard access(directory.index, R_OK) == 0 else { return nil }
        let copy = order.checkout + "/.git/berth-index"
        let place = directory.isShared ? directory.path + "/berth-index" : copy
        guard let bytes = FileManager.default.contents(atPath: directory.index) else {
            throw OpenedFile.failure("read", directory.index)
        }
        let file = open(place, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw OpenedFile.failure("made", place) }
        defer { close(file) }
        try OpenedFile.write(Array(bytes), to: file)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        if names.contains(where: { $0.hasPrefix("sharedindex.") }) {
            _ = try git.run(["update-index", "--no-split-index"], index: place).checked("read the index")
        }
        return place
    }
}
