import FoundationEssentials
import Glibc
import TestSupport

/// Runs berth as an ordinary user who exists for it alone: files of the system that name users, and the programs, are put
/// in place by binds in a mount namespace of each command's own, so that nothing of the machine changes.
struct OrdinaryUser {
    static let id = 23456

    var installation: Installation

    /// - Parameters:
    ///   - hasIDs: whether /etc/subuid and /etc/subgid give the user a range.
    ///   - hasTunnels: whether /dev/net/tun is open to everybody, as it is where udev runs, or to root only.
    init(hasIDs: Bool, hasTunnels: Bool) async throws {
        let directory = try TemporaryDirectory("user")
        let line = "berthuser:x:\(Self.id):\(Self.id)::\(directory.path):/bin/sh\n"
        try directory.write(try String(contentsOfFile: "/etc/passwd", encoding: .utf8) + line, to: "etc/passwd")
        let range = hasIDs ? "berthuser:300000000:65536\n" : ""
        try directory.write(range, to: "etc/subuid")
        try directory.write(range, to: "etc/subgid")
        guard mkdir(directory.file("bin"), 0o755) == 0 else { throw SystemFailure("mkdir", errno) }
        try await BusyboxRoot.make(directory.file("base-root"), owner: Self.id, firstID: hasIDs ? 300_000_000 : nil)
        guard chown(directory.path, uid_t(Self.id), gid_t(Self.id)) == 0 else { throw SystemFailure("chown", errno) }
        let berth = ProgramLocation.path("berth")
        let programs = berth.lastIndex(of: "/").map { String(berth[..<$0]) } ?? "/usr/bin"
        // The machine's own may be open or not.
        let mode = hasTunnels ? "666" : "600"
        let script = """
            set -e; cd "$1"
            mount --bind '\(programs)' bin
            for name in passwd subuid subgid; do mount --bind etc/$name /etc/$name; done
            mount -t tmpfs -o mode=755 none /dev/net
            mknod -m \(mode) /dev/net/tun c 10 200
            [ "$2" = '\(berth)' ] && program="$PWD/bin/berth" || program=$2
            shift 2
            exec setpriv --reuid \(Self.id) --regid \(Self.id) --clear-groups "$program" "$@"
            """
        installation = try Installation(
            // A program follows; berth's own path is replaced by the bound one.
            prefix: ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", directory.path],
            variables: ["HOME": directory.path, "BERTH_BASE_ROOT": directory.file("base-root")],
            directory: directory
        )
    }
}
