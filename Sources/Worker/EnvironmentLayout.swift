internal import Base
internal import BerthCore
internal import Glibc
internal import HolderProtocol

/// Where things lie in the environment and who runs what.
struct EnvironmentLayout: Sendable {
    let state: String
    let workspaces: String
    /// Mirrors of repositories; readable for the agent, written by the worker alone.
    let cache: String
    let temporary: String
    private(set) var agent: Account
    let path: String
    /// nil: agents run as the worker's own user.
    let agentIdentity: UserIdentity?
    let agentPrivileges: Privileges
    let environmentID: EnvironmentID?
    /// There is a wall between what runs here and its machine.
    let isSandboxed: Bool

    struct Account: Sendable, Equatable {
        var name: String
        var uid: UInt32
        var gid: UInt32
        var home: String
        var shell = Self.standardShell

        static let standardShell = "/bin/sh"
    }

    /// The link directory of a sandbox made by a provider.
    private static let sandboxLink = "unix:/run/berth/link.sock"

    init(_ options: WorkerOptions) throws(BerthError) {
        isSandboxed = options.links.contains(Self.sandboxLink)
        let accounts = Self.accounts(in: Self.contents("/etc/passwd"))
        let own = accounts.first { $0.uid == geteuid() }
        let wanted = options.agentUser ?? (isSandboxed && geteuid() == 0 ? "agent" : nil)
        let account = wanted.flatMap { name in accounts.first { $0.name == name } }
        if let name = options.agentUser, account == nil {
            throw BerthError(.notFound, "there is no user '\(name)'", field: "--agent-user")
        }
        if let account, account.uid != geteuid() {
            agent = account
            agentIdentity = UserIdentity(uid: account.uid, gid: account.gid)
        } else {
            agent = Account(name: own?.name ?? "user", uid: geteuid(), gid: getegid(), home: options.home)
            if let shell = own?.shell { agent.shell = shell }
            agentIdentity = nil
        }
        agentPrivileges = isSandboxed ? .drop : .keep
        state = options.state
        path = options.path
        environmentID = options.environmentID
        workspaces = options.workspaces ?? (isSandboxed ? "/workspace" : options.home + "/workspaces")
        temporary = isSandboxed ? "/tmp" : options.state + "/tmp"
        let caches = ["/var/cache/berth", options.home + "/.cache/berth/git"]
        cache = try Self.firstUsable(isSandboxed ? caches : [options.state + "/git"])
        for directory in [state, temporary] { try Self.make(directory, mode: 0o700) }
        try Self.make(workspaces, mode: 0o755)
        if agentIdentity != nil { chown(workspaces, agent.uid, agent.gid) }
        // Sockets that answer git's questions: in reach of Berth's own children, never of an agent's.
        try Self.make(credentialDirectory, mode: 0o700)
        SSHIdentity.sweep(credentialDirectory)
        for directory in [uploadDirectory, bundleDirectory] { try Self.make(directory, mode: 0o700) }
    }

    /// Bytes of the disk that the workspaces are on.
    var diskSpace: (free: Int64, total: Int64)? {
        var found = statvfs()
        guard statvfs(workspaces, &found) == 0 else { return nil }
        let size = Int64(clamping: found.f_frsize)
        // A file system may claim any number.
        func bytes(_ blocks: fsblkcnt_t) -> Int64 {
            let (product, overflows) = Int64(clamping: blocks).multipliedReportingOverflow(by: size)
            return overflows ? .max : product
        }
        return (bytes(found.f_bavail), bytes(found.f_blocks))
    }

    var credentialDirectory: String { cache + "/run" }
    /// Repositories on their way in. Not in the state directory, which a sandbox hides from Berth's own git as well.
    var uploadDirectory: String { cache + "/uploads" }
    /// Packed workspaces on their way in and out.
    var handOverDirectory: String { cache + "/hand-overs" }
    /// Results on their way out.
    var bundleDirectory: String { cache + "/bundles" }

    var workerRights: HolderRunner.Rights { .init(user: nil, privileges: .keep) }
    var agentRights: HolderRunner.Rights { .init(user: agentIdentity, privileges: agentPrivileges) }

    /// What every process of the user's has.
    var baseVariables: [String: String] {
        var variables = [
            "PATH": path,
            "HOME": agent.home,
            "USER": agent.name,
            "LOGNAME": agent.name,
            "LANG": "C.UTF-8",
        ]
        variables["BERTH_ENVIRONMENT_ID"] = environmentID?.text
        return variables
    }

    /// passwd(5).
    static func accounts(in text: String) -> [Account] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 6, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else { return nil }
            var account = Account(name: String(fields[0]), uid: uid, gid: gid, home: String(fields[5]))
            if fields.count > 6, access(String(fields[6]), X_OK) == 0 { account.shell = String(fields[6]) }
            return account
        }
    }

    private static func firstUsable(_ paths: [String]) throws(BerthError) -> String {
        for path in paths where (try? make(path, mode: 0o755)) != nil && access(path, W_OK) == 0 { return path }
        throw BerthError(
            .internal,
            "no directory for the git cache can be made",
            detail: paths.joined(separator: ", ")
        )
    }

    static func make(_ path: String, mode: mode_t) throws(BerthError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw BerthError(.internal, "cannot make a directory", detail: "\(path): errno \(errno)")
        }
        try make(String(path[..<slash]), mode: 0o755)
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw BerthError(.internal, "cannot make a directory", detail: "\(path): errno \(errno)")
        }
    }

    static func contents(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}
