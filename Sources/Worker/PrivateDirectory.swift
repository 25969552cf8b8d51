internal import Base
internal import Glibc

/// A directory of an attempt's own, for its temporary files and, without a workspace, to work in.
enum PrivateDirectory {
    static func make(_ path: String, for layout: EnvironmentLayout) throws(BerthError) -> String {
        guard mkdir(path, 0o700) == 0 else {
            throw BerthError(.internal, "cannot make a private directory", detail: "\(path): errno \(errno)")
        }
        if layout.agentIdentity != nil, lchown(path, layout.agent.uid, layout.agent.gid) != 0 {
            throw BerthError(.internal, "cannot give a private directory away", detail: "\(path): errno \(errno)")
        }
        return path
    }

    /// Removes a directory and everything in it. Goes by descriptors and follows no link, so nobody can lead it astray.
    static func wipe(_ path: String) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return }
        empty(directory, depth: 0)
        rmdir(path)
    }

    private static let deepest = 512

    /// Takes over the descriptor.
    private static func empty(_ directory: CInt, depth: Int) {
        guard depth < deepest, let stream = fdopendir(directory) else {
            close(directory)
            return
        }
        defer { closedir(stream) }
        fchmod(directory, 0o700)
        while let entry = readdir(stream) {
            var name = entry.pointee.d_name
            let isFolder = entry.pointee.d_type == UInt8(DT_DIR)
            withUnsafeBytes(of: &name) { bytes in
                guard let name = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
                if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { return }
                if !isFolder, unlinkat(directory, name, 0) == 0 { return }
                let child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                if child >= 0 { empty(child, depth: depth + 1) }
                unlinkat(directory, name, AT_REMOVEDIR)
            }
        }
    }
}
