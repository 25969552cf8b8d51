import Base
import Glibc
import TestSupport
import Testing

/// The shipped programs need nothing of the root that they run in.
@Suite(.enabled(if: geteuid() == 0)) struct BareRootTests {
    @Test func `a command runs in a sandbox whose root holds busybox alone`() async throws {
        let directory = try TemporaryDirectory("bare")
        try await BusyboxRoot.make(directory.file("root"), owner: 0, firstID: 1)
        let place = try Installation(variables: ["BERTH_BASE_ROOT": directory.file("root")], directory: directory)
        try await withServer(place) { berth, _ in
            let script = "ls /; ls -l /bin/sh; cat /proc/1/comm; exit 3"
            let result = try await berth.berth("exec", "--", "sh", "-c", script)
            #expect(result.status == 3, "\(result.errors)")
            #expect(result.output.contains("busybox"))
            #expect(result.output.hasSuffix("berth-hold\n"))
        }
    }

    /// With musl's C library beside busybox, or with busybox alone: neither has a loader for Debian's programs.
    @Test(arguments: [true, false])
    func `Berth's git, gh and SSH work in a root that has none of them`(hasMusl: Bool) async throws {
        let directory = try TemporaryDirectory("bare")
        let root = directory.file("root")
        try await BusyboxRoot.make(root, owner: 0, firstID: 1)
        if hasMusl {
            try await check(["sh", "-c", "mkdir -p '\(root)/lib' && cp -L /lib/ld-musl-x86_64.so.1 '\(root)/lib/'"])
        }
        let place = try Installation(
            variables: ["BERTH_BASE_ROOT": root, "XDG_CONFIG_HOME": directory.file("home")],
            directory: directory
        )
        try await withServer(place) { berth, _ in
            let made = try await berth.berth("env", "create", "bare")
            #expect(made.status == 0, "\(made.errors)")
            let script = """
                ls /lib64 2>/dev/null; /lib/ld-musl-x86_64.so.1 2>&1 | head -n 1
                cd && git init -q -b main a && cd a && echo x >x && git add x
                git -c user.name=t -c user.email=t@localhost commit -qm one && git clone -q ~/a ~/b && cat ~/b/x
                ssh -V 2>&1 | cut -c 1-8; gh --version | cut -c 1-10 | head -n 1
                """
            let result = try await berth.berth("exec", "-e", "bare", "--", "sh", "-c", script)
            let first = hasMusl ? "musl libc (x86_64)\n" : "sh: /lib/ld-musl-x86_64.so.1: not found\n"
            #expect(result.output == first + "x\nOpenSSH_\ngh version\n", "\(result.output)\(result.errors)")
            let login = try await berth.berth("ssh", "bare", "id -un; cat a/x")
            #expect(login.output == "agent\nx\n", "\(login.errors)")
        }
    }

    @Test func `a worker that stands alone says hello from a root that holds busybox alone`() async throws {
        let directory = try TemporaryDirectory("bare")
        let root = directory.file("root")
        try await BusyboxRoot.make(root, owner: 0, firstID: 1)
        for name in ["berth-hold", "berth-worker"] {
            try await check(["cp", ProgramLocation.path(name), "\(root)/bin/\(name)"])
        }
        try directory.write("worker-token-51c7", to: "root/token")
        guard chmod("\(root)/token", 0o600) == 0, mkdir("\(root)/state", 0o700) == 0 else {
            throw SystemFailure("prepare", errno)
        }
        let place = try Installation(
            variables: ["BERTH_WORKER_TOKEN": "worker-token-51c7"],
            directory: directory
        )
        try await withServer(place) { berth, server in
            let line = try await server.line(containing: "berth is listening on", on: .stderr)
            let port = try #require(line.split(separator: ":").last)
            // Of what a machine gives, /proc is needed.
            let script = "mount -t proc proc '\(root)/proc' && exec chroot '\(root)' \"$@\""
            let holder = ["/bin/berth-hold", "--socket", "/run/hold.sock", "--worker", "/bin/berth-worker"]
            let options = ["--link", "ws://127.0.0.1:\(port)", "--token-file", "/token", "--state", "/state"]
            let places = ["--holder", "/run/hold.sock", "--workspaces", "/workspace", "--worker-id", "bare"]
            let worker = try ChildProcess(
                ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"] + holder + options + places
            )
            defer { worker.signal(15) }
            _ = try await server.line(containing: "\"bare\"", on: .stderr, within: .seconds(20))
        }
    }
}
