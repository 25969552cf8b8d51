internal import Base
internal import Domain
internal import FoundationEssentials
internal import Glibc

/// The files of a machine that was kept, in a directory: memory, the environment's disk, the disks that nobody writes,
/// and what hardware it was.
struct SnapshotFiles: Sendable {
    let path: String

    var memory: String { path + "/memory" }
    var disk: String { path + "/disk.qcow2" }
    var programs: String { path + "/programs.ext4" }
    var hardware: String { path + "/hardware.json" }

    func agent(_ index: Int) -> String { "\(path)/agent\(index).ext4" }

    var hasMemory: Bool { SmallFile.exists(hardware) && SmallFile.exists(memory) }

    /// Takes the other's place.
    func replace(_ other: SnapshotFiles) throws {
        try? FileManager.default.removeItem(atPath: other.path)
        guard rename(path, other.path) == 0 else { throw SmallFile.failure("name", other.path) }
    }

    /// The disks of programs and agents.
    func linkDisks(to other: SnapshotFiles) throws {
        try Self.place(programs, at: other.programs)
        var index = 0
        while SmallFile.exists(agent(index)) {
            try Self.place(agent(index), at: other.agent(index))
            index += 1
        }
    }

    /// Another name of the same file: none of them is ever written again.
    static func place(_ source: String, at target: String) throws(BerthError) {
        unlink(target)
        guard link(source, target) == 0 else { throw SmallFile.failure("link \(source) to", target) }
    }
}

/// `<data>/snapshots/<id>`: there once it is whole.
struct SnapshotDirectory: Sendable {
    let path: String
    private let root: String

    init(_ data: String, _ snapshot: SnapshotID) {
        root = data + "/snapshots"
        path = "\(root)/\(snapshot)"
    }

    var files: SnapshotFiles { SnapshotFiles(path: path) }
    var part: SnapshotFiles { SnapshotFiles(path: path + ".part") }

    func begin() throws(BerthError) {
        try SmallFile.makeDirectory(root)
        try? FileManager.default.removeItem(atPath: part.path)
        try SmallFile.makeDirectory(part.path)
    }

    func finish() throws(BerthError) {
        guard rename(part.path, path) == 0 else { throw SmallFile.failure("name", path) }
    }

    func remove() {
        for path in [part.path, path] { try? FileManager.default.removeItem(atPath: path) }
    }

    static func all(_ data: String) -> [SnapshotID] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: data + "/snapshots")) ?? []
        return names.compactMap { try? SnapshotID($0) }.sorted()
    }
}
