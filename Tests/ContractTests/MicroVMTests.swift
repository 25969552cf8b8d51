import Base
import Domain
import EventLoop
import FoundationEssentials
import Glibc
import Providers
import TestSupport
import Testing

/// What only micro virtual machines do, on the real QEMU.
@Suite struct MicroVMTests {
    private static let limits = ResourceLimits(memoryBytes: 256 << 20, diskBytes: 256 << 20, processes: 256)

    private static func qemu(_ id: EnvironmentID) async throws -> Int32? {
        Int32(try await run(["pgrep", "-f", "^/usr/bin/qemu-system-x86_64 -name berth-\(id) "]).output.trimmed)
    }

    @Test func `the inside is a machine of its own, confined on the host, with the caps asked for`() async throws {
        try await withProvider(.microvm) { fixture in
            let inside = try await fixture.inside(try await fixture.started(fixture.request(Self.limits)))
            #expect(try await inside.sh("cat /proc/1/cmdline | tr '\\0' ' '") == "/opt/berth/bin/berth-hold guest")
            #expect(try await inside.sh("hostname") == "berth")
            let kilobytes = try #require(Int(try await inside.sh("awk '/MemTotal/ {print $2}' /proc/meminfo")))
            #expect((128 << 10...256 << 10).contains(kilobytes))
            let free = try #require(Int(try await inside.sh("df --output=avail -k / | tail -1")))
            #expect((200 << 10...400 << 10).contains(free))
            #expect(try await inside.sh("cat /sys/fs/cgroup/berth/pids.max") == "256")
            let pid = try #require(try await Self.qemu(inside.reference.environmentID))
            let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            #expect(status.contains("\nSeccomp:\t2\n"))
            #expect(!status.contains("\nUid:\t0"))
            let disk = fixture.machine(inside.reference) + "/disk.qcow2"
            #expect(try await check(["stat", "-c", "%a", disk]) == "600")
        }
    }

    @Test func `a killed QEMU is seen as stopped by its signal, and the environment starts again with its files`()
        async throws
    {
        try await withProvider(.microvm) { fixture in
            var reference = try await fixture.started(fixture.request(Self.limits))
            _ = try await fixture.inside(reference).sh("echo kept >/home/agent/file && sync")
            kill(try #require(try await Self.qemu(reference.environmentID)), SIGKILL)
            try await fixture.provider.stop(reference, grace: .zero)
            guard case .stopped(.killed(let signal, _)) = try await fixture.state(reference) else {
                Issue.record("not stopped by a signal: \(try await fixture.state(reference))")
                return
            }
            #expect(signal == Int(SIGKILL))
            reference.instance = 2
            try await fixture.provider.start(reference, ProviderFixture.launch)
            #expect(try await fixture.inside(reference).sh("cat /home/agent/file") == "kept")
        }
    }

    @Test func `a machine that is held misses no time once it goes on, and gets fresh entropy`() async throws {
        try await withProvider(.microvm) { fixture in
            let inside = try await fixture.inside(try await fixture.started(fixture.request(Self.limits)))
            try await fixture.provider.pause(inside.reference)
            let pausedAt = time(nil)
            // The clock shows whole seconds: two of them pass.
            while time(nil) < pausedAt + 2 { _ = try await run(["sleep", "0.1"]) }
            try await fixture.provider.resume(inside.reference)
            let clock = try #require(Int(try await inside.sh("date +%s")))
            #expect(abs(clock - time(nil)) <= 1)
        }
    }

    @Test func `a snapshot goes on in a new process with its processes, and in a fork with names of its own`()
        async throws
    {
        try await withProvider(.microvm) { fixture in
            let provider = fixture.provider
            var reference = try await fixture.started(fixture.request(Self.limits))
            let start = """
                echo before >/home/agent/file
                setsid sh -c 'while :; do sleep 0.1; done' >/dev/null 2>&1 & echo $! >/home/agent/pid
                """
            #expect(try await fixture.inside(reference).run(start).status == 0)
            let snapshot: SnapshotID = fixture.ids.make()
            try await provider.snapshot(reference, as: snapshot)
            #expect(try await provider.snapshots() == [snapshot])
            await expect(.conflict) { try await provider.snapshot(reference, as: snapshot) }
            #expect(try await fixture.state(reference) == .running)
            _ = try await fixture.inside(reference).sh("echo after >/home/agent/file; kill $(cat /home/agent/pid)")
            await expect(.illegalTransition) { try await provider.restore(reference.environmentID, to: snapshot) }

            var request = fixture.request(Self.limits)
            request.hostname = "fork"
            var other = request
            other.limits.memoryBytes = 512 << 20
            await expect(.conflict) { _ = try await provider.fork(snapshot, other) }
            _ = try await provider.fork(snapshot, request)
            let fork = InstanceReference(environmentID: request.environmentID, instance: 1)

            try await provider.stop(reference, grace: .seconds(10))
            try await provider.restore(reference.environmentID, to: snapshot)
            try await provider.removeSnapshot(snapshot)
            #expect(try await provider.snapshots() == [])
            reference.instance = 2
            let look = """
                kill -0 $(cat /home/agent/pid) && cat /home/agent/file; hostname; date +%s
                cat /proc/sys/kernel/random/uuid
                """
            var seen: [[Substring]] = []
            for (instance, name) in [(reference, "berth"), (fork, "fork")] {
                try await provider.start(instance, ProviderFixture.launch)
                let lines = try await fixture.inside(instance).sh(look).split(separator: "\n")
                try #require(lines.count == 4, "\(lines)")
                #expect(lines.prefix(2) == ["before", Substring(name)])
                let clock = try #require(Int(lines[2]))
                // Under a sanitizer the way of the answer takes seconds.
                #expect(abs(clock - time(nil)) <= (Sanitizer.isOn ? 10 : 2))
                seen.append(lines)
                try await provider.stop(instance, grace: .seconds(10))
            }
            #expect(seen[0][3] != seen[1][3])
            // What was gone back to once is an ordinary environment from then on.
            reference.instance = 3
            try await provider.start(reference, ProviderFixture.launch)
            #expect(try await fixture.inside(reference).sh("cat /home/agent/file") == "before")
        }
    }

    @Test func `the network is the policy's: a host port by name, nothing else of the host, and none without one`()
        async throws
    {
        try await withProvider(.microvm) { fixture in
            let open = try LoopbackListener()
            let closed = try LoopbackListener()
            var request = fixture.request(Self.limits)
            request.network = try NetworkPolicy(.none, hostPorts: [open.port])
            let inside = try await fixture.inside(try await fixture.started(request))
            #expect(try await inside.sh("curl -s -m 60 http://127.0.0.1:\(open.port)/") == "hello")
            #expect(try await inside.fails("curl -s -m 3 http://127.0.0.1:\(closed.port)/"))
            #expect(try await inside.sh("ls /sys/class/net") == "lo")
        }
    }

    @Test func `missing parts and impossible sizes are refused by name, with the way out`() async throws {
        try await withTemporaryDirectory { directory in
            let loop = try EventLoop()
            loop.start()
            defer { loop.stop() }
            let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
            let programs = InstancePrograms(holder: try ProgramLocation.shipped("berth-hold"), worker: "/bin/true")
            func refused(_ change: (inout MicroVMConfiguration) -> Void, _ limits: ResourceLimits) async -> BerthError?
            {
                var configuration = MicroVMConfiguration(
                    dataDirectory: directory + "/data",
                    images: BerthCache.microVM,
                    programs: programs
                )
                change(&configuration)
                let request = InstanceRequest(environmentID: ids.make(), label: "test", limits: limits, network: .none)
                do {
                    _ = try await MicroVMProvider(configuration, loop: loop, time: SystemTime()).create(request)
                    return nil
                } catch {
                    return error as? BerthError
                }
            }
            let absent = await refused({ $0.qemu = "/nonexistent/qemu" }, Self.limits)
            #expect(absent?.code == .unsupported)
            #expect(absent?.remedy?.contains("qemu-system-x86") == true)
            let bare = await refused({ $0.images = directory + "/none" }, Self.limits)
            #expect(bare?.code == .imageUnavailable)
            #expect(bare?.remedy?.contains("scripts/images/microvm") == true)
            let small = await refused({ _ in }, ResourceLimits(memoryBytes: 64 << 20))
            #expect(small?.code == .invalidValue)
            #expect(small?.field == "limits.memoryBytes")
            let left = try FileManager.default.contentsOfDirectory(atPath: directory + "/data/environments")
            #expect(left.isEmpty)
        }
    }
}

extension ProviderFixture {
    /// The directory that QEMU sees.
    fileprivate func machine(_ reference: InstanceReference) -> String {
        "\(directory)/data/environments/\(reference.environmentID)/machine"
    }
}
