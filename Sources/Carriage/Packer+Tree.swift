internal import Base
internal import FoundationEssentials
internal import Glibc

// Files of the working tree.
extension Packer {
    mutating func putTree(_ changes: [CheckoutState.Change]) throws {
        let root = open(order.checkout, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw OpenedFile.failure("opened", order.checkout) }
        defer { close(root) }
        let tree = ConfinedTree(root)
        try checkSizes(changes, tree)
        for change in changes where change.kind == .deleted { try writer.put(.deletion, path: change.path) }
        for change in changes where change.kind != .deleted {
            if change.kind == .untracked { summary.untracked += 1 }
            try put(change.path, tree)
        }
        try putIgnored(tree)
    }

    /// Before anything is written: a file with holes would fill the disk.
    private func checkSizes(_ changes: [CheckoutState.Change], _ tree: ConfinedTree) throws {
        var sizes: [(path: String, bytes: Int64)] = []
        for change in changes where change.kind != .deleted {
            let plain = change.path.last == PathBytes.slash ? Array(change.path.dropLast()) : change.path
            sizes.append((String(decoding: change.path, as: UTF8.self), try tree.size(plain)))
        }
        let sum = sizes.reduce(0) { $0 + $1.bytes }
        guard sum > order.limit else { return }
        throw BerthError(
            .tooLarge,
            "what is not committed has \(sum) bytes, more than the \(order.limit) that may travel: "
                + Self.largest(sizes),
            remedy: "remove what is not needed or have git ignore it; or raise maxUploadBytes of both servers"
        )
    }

    private static func largest(_ sizes: [(path: String, bytes: Int64)]) -> String {
        sizes.sorted { $0.bytes > $1.bytes }.prefix(10).map { "\($0.path) \($0.bytes)" }.joined(separator: ", ")
    }

    /// A path that ends in a slash is a repository of its own: git does not look into it.
    private mutating func put(_ path: [UInt8], _ tree: ConfinedTree) throws {
        if path.last == PathBytes.slash { return try putAll(below: Array(path.dropLast()), tree) }
        switch try tree.open(path) {
        case .file(let file):
            defer { close(file) }
            try writer.put(.file, path: path, opened: file)
        case .link(let target): try writer.put(.link, path: path, target)
        // In place of a file that the index has, there may be a directory with files of its own.
        case .nothing, .directory: return try writer.put(.deletion, path: path)
        case .special:
            if summary.skipped.count < 100 { summary.skipped.append(String(decoding: path, as: UTF8.self)) }
            return
        }
        summary.files += 1
    }

    private mutating func putAll(below path: [UInt8], _ tree: ConfinedTree) throws {
        for name in try tree.names(path) {
            let child = path + [PathBytes.slash] + name
            if case .directory = try tree.open(child) {
                try putAll(below: child, tree)
            } else {
                try put(child, tree)
            }
        }
    }

    private mutating func putIgnored(_ tree: ConfinedTree) throws {
        let listed = try git.run(
            ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory", "-z"]
        )
        .checked("list ignored files")
        let paths = PathBytes.fields(listed.bytes)
        guard order.includesIgnored else {
            summary.leftBehind = paths.prefix(200).map { String(decoding: $0, as: UTF8.self) }
            return
        }
        var sizes: [(path: String, bytes: Int64)] = []
        for path in paths {
            let plain = path.last == PathBytes.slash ? Array(path.dropLast()) : path
            sizes.append((String(decoding: path, as: UTF8.self), try tree.size(plain)))
        }
        let sum = sizes.reduce(0) { $0 + $1.bytes }
        guard sum <= order.ignoredLimit else {
            throw BerthError(
                .tooLarge,
                "the ignored files have \(sum) bytes, more than the \(order.ignoredLimit) that may travel: "
                    + Self.largest(sizes),
                field: "includeIgnored",
                remedy: "remove what can be made again, raise --ignored-limit, or send without --include-ignored"
            )
        }
        for path in paths { try put(path, tree) }
    }
}
