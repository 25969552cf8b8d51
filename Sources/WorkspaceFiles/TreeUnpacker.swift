internal import Base
internal import Glibc
internal import WorkspaceTypes

/// Unpacks a tar archive below a directory of a tree, as its members come. Directories are joined with those that are
/// there, files and symlinks replaced, each as a whole; nothing is written through a symlink that leads out.
struct TreeUnpacker {
    let tree: WorkspaceTree
    /// Within the tree; ends in `/` or is empty.
    let base: String
    private(set) var tally = FileTally()
    private var reader = TarReader()
    private var part: (file: PartFile, modifiedAt: Int64)?

    init(_ tree: WorkspaceTree, at path: String) {
        self.tree = tree
        base = path.isEmpty || path.hasSuffix("/") ? path : path + "/"
    }

    mutating func take(_ bytes: ArraySlice<UInt8>) throws(BerthError) {
        reader.append(bytes)
        while let event = try reader.next() {
            switch event {
            case .member(let member): try begin(member)
            case .content(let bytes): try part?.file.append(bytes)
            case .memberEnd:
                guard let (file, modifiedAt) = part else { continue }
                part = nil
                try file.keep(replaces: true, isDurable: false, modifiedAt: modifiedAt)
                tally.files += 1
                tally.bytes += file.bytes
            }
        }
    }

    /// Throws `invalid_value` when the archive was cut off.
    func finish() throws(BerthError) {
        guard reader.isWhole else {
            throw BerthError(
                .invalidValue,
                "the archive ends in its middle; \(tally.files) files were unpacked",
                remedy: "send it again"
            )
        }
    }

    private mutating func begin(_ member: TarMember) throws(BerthError) {
        let path = try name(member.path, "path")
        // `./` stands for the directory that is unpacked into.
        guard !path.isEmpty else { return }
        switch member.kind {
        case .directory:
            try tree.makeDirectories(base + path)
            tally.directories += 1
        case .file:
            let place = try room(path)
            part = (try PartFile(beside: place, rights: mode_t(member.mode) & 0o777), member.modifiedAt)
        case .symlink(let target):
            let place = try room(path)
            try replace(place) { name in
                target.withPath { symlinkat($0, place.directory.descriptor, name) }
            }
            tally.symlinks += 1
        case .hardLink(let target):
            let source = try tree.place(base + (try name(target, "link")), follows: false)
            _ = try source.existing()
            let place = try room(path)
            try replace(place) { name in
                source.name.withPath {
                    linkat(source.directory.descriptor, $0, place.directory.descriptor, name, 0)
                }
            }
            tally.files += 1
        case .other:
            throw BerthError(
                .unsupported,
                "'\(path.prefix(200))' is neither file, directory nor symlink",
                remedy: "leave it out of the archive"
            )
        }
    }

    private func name(_ bytes: PathBytes, _ field: String) throws(BerthError) -> String {
        // What is not UTF-8 would come out under another name.
        let text = String(decoding: bytes, as: UTF8.self)
        guard PathBytes(text.utf8) == bytes else {
            throw BerthError(
                .invalidPath,
                "'\(text.prefix(200))' is not UTF-8",
                field: field,
                remedy: "rename it, or unpack the archive in a terminal"
            )
        }
        guard !text.hasPrefix("/"), !text.split(separator: "/").contains("..") else {
            throw BerthError(
                .invalidPath,
                "the archive's member '\(text.prefix(200))' leads out of the workspace",
                field: field,
                remedy: "make it with relative names"
            )
        }
        return text.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// Where a file goes: its directories made, and no directory there.
    private func room(_ path: String) throws(BerthError) -> WorkspaceTree.Place {
        try tree.makeDirectories(base + path.split(separator: "/").dropLast().joined(separator: "/"))
        let place = try tree.place(base + path, follows: false)
        guard !place.isDirectory else { throw FileCalls.failure("replaced", place.path, EISDIR) }
        return place
    }

    private func replace(_ place: WorkspaceTree.Place, _ make: (UnsafePointer<CChar>) -> CInt) throws(BerthError) {
        let part = Array(".berth-\(getpid())-".utf8) + place.name.prefix(200) + Array(".part".utf8)
        let directory = place.directory.descriptor
        let done = part.withPath { from in
            _ = unlinkat(directory, from, 0)
            guard make(from) == 0 else { return CInt(-1) }
            return place.name.withPath { renameat(directory, from, directory, $0) }
        }
        guard done == 0 else {
            let code = errno
            _ = part.withPath { unlinkat(directory, $0, 0) }
            throw FileCalls.failure("written", place.path, code)
        }
        // Two names of one file: the rename did nothing.
        _ = part.withPath { unlinkat(directory, $0, 0) }
    }
}
