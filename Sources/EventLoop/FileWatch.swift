internal import Base
internal import CUV

/// Tells when the file at a path appears, changes or goes away, by watching its directory (inotify). Several events
/// before a look count as one.
///
/// `@unchecked Sendable`: state is touched only on the loop; the public methods go there.
public final class FileWatch: @unchecked Sendable {
    private let loop: EventLoop
    private let name: String
    private var handle: DirectoryHandle?
    private var hasChanged = false
    private var waiter: Waiter<Void>?

    /// Watches once this returns. The directory must exist; the file need not.
    public init(path: String, loop: EventLoop) async throws {
        self.loop = loop
        let parts = path.split(separator: "/")
        name = parts.last.map(String.init) ?? ""
        let parent = (path.hasPrefix("/") ? "/" : "") + parts.dropLast().joined(separator: "/")
        try await loop.run { [self] in
            handle = try DirectoryHandle(loop: loop, path: parent.isEmpty ? "." : parent) { [weak self] name in
                self?.changed(name)
            }
        }
    }

    deinit {
        let handle = Leaving(handle)
        loop.execute { handle.value?.close() }
    }

    /// Returns when something happened to the file since the watch began or the last return. One caller at a time.
    public func change() async throws {
        try await loop.suspend { [self] waiter in
            if hasChanged {
                if waiter.resume() { hasChanged = false }
            } else if handle == nil {
                waiter.resume(throwing: BerthError(.cancelled, "the file watch is closed"))
            } else {
                self.waiter = waiter
            }
        }
    }

    public func close() {
        loop.execute { [self] in
            handle?.close()
            handle = nil
            waiter?.resume(throwing: BerthError(.cancelled, "the file watch is closed"))
            waiter = nil
        }
    }

    /// `changed` is nil when the kernel does not say which entry it was.
    private func changed(_ changed: String?) {
        guard changed == nil || changed == name else { return }
        if let waiter, waiter.resume() {
            self.waiter = nil
        } else {
            hasChanged = true
        }
    }
}

private final class DirectoryHandle: LoopHandle {
    private let action: (String?) -> Void

    init(loop: EventLoop, path: String, action: @escaping (String?) -> Void) throws(BerthError) {
        self.action = action
        try super.init(loop: loop, type: UV_FS_EVENT, what: "cannot watch '\(path)'") { uv, memory in
            uv_fs_event_init(uv, memory.assumingMemoryBound(to: uv_fs_event_t.self))
        }
        guard let raw else { return }
        let status = uv_fs_event_start(
            raw.assumingMemoryBound(to: uv_fs_event_t.self),
            { handle, name, _, _ in
                guard let data = handle?.pointee.data else { return }
                let name = name.map { String(cString: $0) }
                Unmanaged<DirectoryHandle>.fromOpaque(data).takeUnretainedValue().action(name)
            },
            path,
            0
        )
        guard status == 0 else {
            close()
            throw BerthError(uv: status, "cannot watch '\(path)'", code: .notFound)
        }
    }
}
