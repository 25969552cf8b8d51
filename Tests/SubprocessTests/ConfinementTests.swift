import Base
import FoundationEssentials
import Glibc
import HolderProtocol
import Subprocess
import TestSupport
import Testing

/// What a child of a sandbox's holder cannot reach. Needs a user namespace of its own when not run as root.
@Suite(.timeLimit(.minutes(1))) struct ConfinementTests {
    /// An id that no process of the machine has.
    static let stranger = UserIdentity(uid: 65_531, gid: 65_531)

    private func withSandboxHolder(
        _ body: (HolderFixture, HolderClient, _ hidden: String) async throws -> Void
    ) async throws {
        let hidden = try TemporaryDirectory("hidden")
        chmod(hidden.path, 0o755)
        try hidden.write("secret", to: "token")
        try hidden.write("secret", to: "file")
        let launcher = geteuid() == 0 ? [] : ["/usr/bin/unshare", "--user", "--map-root-user", "--mount"]
        let holder = try HolderFixture(["--hide", hidden.path], launcher: launcher)
        let client = try await holder.connect()
        try await body(holder, client, hidden.path)
        await client.close()
    }

    @Test(arguments: [Privileges.drop, .administer])
    func `hidden paths are empty, read-only and cannot be uncovered`(privileges: Privileges) async throws {
        try await withSandboxHolder { holder, client, hidden in
            let script = """
                ls -A '\(hidden)' | wc -l
                cat '\(hidden)/token' 2>/dev/null || echo no token
                umount '\(hidden)' 2>/dev/null || echo still covered
                unshare --user --map-root-user --mount umount '\(hidden)' 2>/dev/null || echo covered in a namespace too
                touch '\(hidden)/new' 2>/dev/null || echo read-only
                """
            var request = SpawnRequest.shell("hide:1", script)
            request.privileges = privileges
            let child = try await client.spawn(request)
            #expect(
                try await child.readAll(.output, loop: holder.loop)
                    == "0\nno token\nstill covered\ncovered in a namespace too\nread-only\n"
            )
        }
    }

    @Test func `other processes still see a path that children do not`() async throws {
        try await withSandboxHolder { holder, client, hidden in
            _ = try await client.spawn(.shell("hide:2", "sleep 100"))
            #expect(access("\(hidden)/token", R_OK) == 0)
        }
    }

    @Test func `a path that was made anew is hidden from the next child too`() async throws {
        try await withSandboxHolder { holder, client, hidden in
            let first = try await client.spawn(.shell("hide:3", "ls -A '\(hidden)' | wc -l"))
            #expect(try await first.readAll(.output, loop: holder.loop) == "0\n")
            try FileManager.default.moveItem(atPath: hidden, toPath: hidden + ".old")
            try FileManager.default.copyItem(atPath: hidden + ".old", toPath: hidden)
            let second = try await client.spawn(.shell("hide:4", "ls -A '\(hidden)' | wc -l"))
            #expect(try await second.readAll(.output, loop: holder.loop) == "0\n")
            try FileManager.default.removeItem(atPath: hidden + ".old")
        }
    }

    @Test func `a child that may mount uncovers a path for itself alone`() async throws {
        guard geteuid() == 0 else { return }
        try await withSandboxHolder { holder, client, hidden in
            var request = SpawnRequest.shell("hide:5", "umount '\(hidden)' && ls -A '\(hidden)' | wc -l")
            request.privileges = .keep
            let privileged = try await client.spawn(request)
            #expect(try await privileged.readAll(.output, loop: holder.loop) == "2\n")
            let next = try await client.spawn(.shell("hide:6", "ls -A '\(hidden)' | wc -l"))
            #expect(try await next.readAll(.output, loop: holder.loop) == "0\n")
        }
    }

    @Test func `a child of another user can neither signal nor read its guardian and holder`() async throws {
        // Another user exists only where the holder may change to one.
        guard geteuid() == 0 else { return try await childOfTheSameUser() }
        try await withSandboxHolder { holder, client, _ in
            let script = """
                id -u; id -g; id -G
                for pid in $PPID \(holder.pid); do
                    kill -9 $pid 2>/dev/null || echo no kill
                    cat /proc/$pid/environ >/dev/null 2>&1 || echo no environ
                    ls /proc/$pid/root/ >/dev/null 2>&1 || echo no root
                    ls /proc/$pid/fd >/dev/null 2>&1 || echo no fd
                done
                """
            var request = SpawnRequest.shell("id:1", script)
            request.user = Self.stranger
            let child = try await client.spawn(request)
            let refusals = "no kill\nno environ\nno root\nno fd\n"
            #expect(
                try await child.readAll(.output, loop: holder.loop) == "65531\n65531\n65531\n" + refusals + refusals
            )
        }
    }

    private func childOfTheSameUser() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        let script = "cat /proc/$PPID/environ >/dev/null 2>&1 || echo no environ"
        let child = try await client.spawn(.shell("id:2", script))
        #expect(try await child.readAll(.output, loop: holder.loop) == "no environ\n")
        await client.close()
    }

    @Test func `an administering child may change owners but neither mount nor read the holder`() async throws {
        guard geteuid() == 0 else { return }
        try await withSandboxHolder { holder, client, _ in
            let path = "\(holder.scratch.path)/owned"
            let script = """
                touch '\(path)' && chown 65531 '\(path)' && echo chown
                mount -t tmpfs none /mnt 2>/dev/null || echo no mount
                cat /proc/\(holder.pid)/environ >/dev/null 2>&1 || echo no environ
                """
            var request = SpawnRequest.shell("admin:1", script)
            request.privileges = .administer
            let child = try await client.spawn(request)
            #expect(try await child.readAll(.output, loop: holder.loop) == "chown\nno mount\nno environ\n")
        }
    }

    @Test func `limits are the child's and those of what it starts`() async throws {
        let holder = try HolderFixture()
        let client = try await holder.connect()
        var request = SpawnRequest.shell("limit:1", "ulimit -n; ulimit -v; sh -c 'ulimit -n'")
        request.limits = Limits(openFiles: 77, addressSpaceBytes: 1 << 30)
        let child = try await client.spawn(request)
        #expect(try await child.readAll(.output, loop: holder.loop) == "77\n1048576\n77\n")
        await client.close()
    }

    @Test func `hiding without the right to mount is refused at start`() throws {
        guard geteuid() == 0 else {
            #expect(throws: BerthError.self) { try HolderFixture(["--hide", "/tmp"]) }
            return
        }
        #expect(throws: BerthError.self) {
            try HolderFixture(
                ["--hide", "/tmp"],
                launcher: ["/usr/bin/setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
            )
        }
    }
}
