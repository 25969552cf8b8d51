internal import Base
internal import Domain
internal import Glibc

/// Small files of a checkout, read without following a link: whatever lies there, an agent may have put it there.
enum CheckoutFiles {
    /// nil where there is no such regular file, or it is larger than a configuration is.
    static func text(_ name: String, in checkout: String) -> String? {
        var directory = open(checkout, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        var parts = name.split(separator: "/").map(String.init)
        guard let last = parts.popLast() else { return nil }
        for part in parts {
            let next = openat(directory, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else { return nil }
            close(directory)
            directory = next
        }
        let file = openat(directory, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_size <= WorkspaceConfiguration.byteLimit
        else { return nil }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count <= WorkspaceConfiguration.byteLimit, case let count = read(file, &buffer, buffer.count),
            count > 0
        { bytes += buffer[..<count] }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Those that say something about workspaces, by name.
    static func configurations(in checkout: String) -> [String: String] {
        var texts: [String: String] = [:]
        for name in [WorkspaceConfiguration.fileName] + ConfigurationImport.files {
            texts[name] = text(name, in: checkout)
        }
        return texts
    }

    /// What a workspace goes by. Throws what is wrong with its file.
    static func configuration(of checkout: String) throws(BerthError) -> (WorkspaceConfiguration, from: String?) {
        try ConfigurationImport.choose(configurations(in: checkout))
    }

    /// What every program of a workspace has besides the environment's own; nothing where the file is broken.
    static func variables(of checkout: String, workspace: WorkspaceID?) -> [String: String] {
        var variables = (try? configuration(of: checkout))?.0.environment ?? [:]
        variables["BERTH_WORKSPACE_ID"] = workspace?.text
        variables["BERTH_WORKSPACE_PATH"] = checkout
        return variables
    }
}
