import Glibc
import TestSupport

/// A root of a sandbox that holds busybox and nothing else.
enum BusyboxRoot {
    /// - Parameters:
    ///   - owner: root of the inside.
    ///   - firstID: the host's id of the inside's id 1; nil: everything belongs to `owner`.
    static func make(_ path: String, owner: Int, firstID: Int?) async throws {
        let agent = firstID.map { $0 + 999 } ?? owner
        let script = """
            set -e; mkdir -m 755 "$1"; cd "$1"
            mkdir bin dev etc home home/agent opt opt/berth proc run sys tmp usr var var/lib workspace
            cp "$(command -v busybox)" bin/busybox
            for name in $(bin/busybox --list); do [ -e bin/$name ] || ln -s busybox bin/$name; done
            echo root:x:0:0::/root:/bin/sh >etc/passwd; echo agent:x:1000:1000::/home/agent:/bin/sh >>etc/passwd
            echo root:x:0: >etc/group; echo agent:x:1000: >>etc/group
            chown -R \(owner):\(owner) .; chown \(agent):\(agent) home/agent workspace; chmod 1777 tmp
            """
        try await check(["sh", "-c", script, "sh", path])
    }
}
