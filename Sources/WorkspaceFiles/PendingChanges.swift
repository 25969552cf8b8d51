internal import WorkspaceTypes

/// Changes that were seen and not told yet: one for each path, bounded. Pure.
struct PendingChanges {
    private static let maximum = 10_000

    private var kinds: [PathBytes: FileChange.Kind] = [:]
    private var order: [PathBytes] = []
    private var hasOverflowed = false

    /// What a path's changes come to, one after the other.
    mutating func add(_ path: PathBytes, _ kind: FileChange.Kind) {
        guard !hasOverflowed else { return }
        guard let before = kinds[path] else {
            guard order.count < Self.maximum else { return overflow() }
            kinds[path] = kind
            order.append(path)
            return
        }
        switch (before, kind) {
        case (.created, .changed), (.created, .created): break
        case (.removed, .created): kinds[path] = .changed
        default: kinds[path] = kind
        }
    }

    mutating func overflow() {
        hasOverflowed = true
        kinds = [:]
        order = []
    }

    /// - Parameter directory: what the paths are below.
    mutating func take(below directory: PathBytes) -> [FileChange] {
        defer { self = PendingChanges() }
        if hasOverflowed { return [FileChange(path: directory.shown, kind: .overflowed)] }
        return order.compactMap { path in
            kinds[path].map { FileChange(path: directory.appending(path).shown, kind: $0) }
        }
    }
}
