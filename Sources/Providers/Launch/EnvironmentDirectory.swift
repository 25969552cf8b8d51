internal import Base
internal import Domain
internal import FoundationEssentials
internal import Glibc

/// One environment's files on the host, all below `<root>/<environment id>`, 0700 and the server's own:
///
///     spec.json        the provider and the request, written last: an environment exists when it does
///     instance, exit   the monitor's records; lock: held by the monitor
///     log              what launcher, holder and worker wrote to their standard error
///     layer/           upper and work of the overlay, or the mount point of disk.ext4
///     run/             appears inside as /run/berth: link.sock (server), hold.sock (holder), token, gates (`docker`)
///     state/           appears inside as /var/lib/berth: the worker's database and output
///     etc/             hosts, hostname and resolv.conf of the inside
///     machine/         a micro virtual machine's disk, orders and sockets: in reach of its QEMU
///     images           the directory of the images it was made with
///     running/         that boot's hardware and read-only disks; coming/: memory and hardware of the next one
struct EnvironmentDirectory: Sendable {
    let environmentID: EnvironmentID
    let path: String

    init(root: String, _ environmentID: EnvironmentID) {
        self.environmentID = environmentID
        path = "\(root)/\(environmentID)"
    }

    var spec: String { path + "/spec.json" }
    var layer: String { path + "/layer" }
    var disk: String { path + "/disk.ext4" }
    var run: String { path + "/run" }
    var state: String { path + "/state" }
    var etc: String { path + "/etc" }
    var machine: String { path + "/machine" }
    var images: String { path + "/images" }
    var running: String { path + "/running" }
    var coming: String { path + "/coming" }
    var home: String { path + "/home" }
    var workspaces: String { path + "/workspace" }
    var gate: String { run + "/gate" }
    var workerGate: String { run + "/worker-gate" }
    var token: String { run + "/token" }
    var linkSocket: String { run + "/link.sock" }
    var log: String { path + "/log" }

    /// sockaddr_un holds 108 bytes, the last one NUL.
    static let socketPathLimit = 107

    /// What spec.json holds. Providers share the directory of environments; each sees its own.
    struct Kept: Codable, Equatable {
        var provider: ProviderKind
        var request: InstanceRequest
    }

    /// nil where there is no environment.
    func kept() throws(BerthError) -> Kept? { try SmallFile.readJSON(Kept.self, from: spec) }

    func write(_ kept: Kept) throws { try SmallFile.writeJSON(kept, to: spec) }

    func record() -> InstanceRecord? { SmallFile.read(path + "/instance").flatMap { InstanceRecord($0) } }
    func exit() -> ExitRecord? { SmallFile.read(path + "/exit").flatMap { ExitRecord($0) } }

    /// The record of `reference`'s incarnation, running or ended; nil where none was ever started.
    /// A reference to an older one is stale, to a newer one unknown.
    func record(of reference: InstanceReference) throws(BerthError) -> InstanceRecord? {
        guard let record = record() else { return nil }
        if reference.instance < record.instance {
            throw BerthError(
                .stale,
                "\(reference.environmentID) is at instance \(record.instance), this was about \(reference.instance)"
            )
        }
        if reference.instance > record.instance {
            throw BerthError(
                .notFound,
                "instance \(reference.instance) of \(reference.environmentID) was never started"
                    + " (the last is \(record.instance))"
            )
        }
        return record
    }

    func makeDirectories(_ names: [String]) throws {
        try SmallFile.makeDirectory(path)
        for name in names { try SmallFile.makeDirectory(name) }
    }

    /// The worker's token; the directory around it is closed to everybody else.
    func writeToken(_ token: Secret<String>) throws(BerthError) {
        try SmallFile.replace(self.token, with: token.reveal())
    }

    /// Files of /etc that follow from the request.
    func writeNames(_ request: InstanceRequest) throws {
        let files = [
            ("hostname", request.hostname + "\n"),
            ("hosts", "127.0.0.1 localhost\n127.0.1.1 \(request.hostname)\n::1 localhost ip6-localhost\n"),
            ("resolv.conf", request.network.kind == .open ? "nameserver \(NetworkPlan.gateway)\n" : ""),
        ]
        for (name, text) in files {
            let path = "\(etc)/\(name)"
            try SmallFile.replace(path, with: text)
            guard chmod(path, 0o644) == 0 else { throw SmallFile.failure("set the mode of", path) }
        }
    }

    /// Everything of it. Its files may belong to ids that only a launcher with the map of `plan` may remove.
    func remove(with launcher: Launcher, plan: (inout LaunchSpec) -> Void) async throws {
        guard SmallFile.exists(path) else { return }
        let owned = [layer, state, home, workspaces].filter { SmallFile.exists($0) }
        if !owned.isEmpty {
            var spec = LaunchSpec()
            spec.add("mode", "host", "directory", path)
            plan(&spec)
            for path in owned { spec.add("remove", path) }
            try await launcher.launch(spec, logPath: log)
        }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            guard SmallFile.exists(path) else { return }
            throw BerthError(.internal, "cannot remove \(path)", detail: "\(error)", isRetryable: true)
        }
    }

    /// Keeps the log of earlier boots within bounds.
    func trimLog() {
        var status = stat()
        guard stat(log, &status) == 0, status.st_size > 1 << 20 else { return }
        truncate(log, 0)
    }

    /// Environments with a readable name, ascending.
    static func all(root: String) -> [EnvironmentDirectory] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return names.compactMap { try? EnvironmentID($0) }.sorted().map { EnvironmentDirectory(root: root, $0) }
    }
}
