import Base
import Domain
import Glibc
import Providers
import TestSupport
import Testing

/// What a sandbox of `local` is like from inside.
@Suite struct LocalSandboxTests {
    @Test func `a program inside sees its own root, users, processes and host name`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            #expect(try await inside.sh("cat /etc/debian_version").hasPrefix("12"))
            #expect(try await inside.sh("hostname; cat /etc/hostname") == "berth\nberth")
            #expect(try await inside.sh("cat /proc/1/comm") == "berth-hold")
            #expect(try await inside.sh("id -un 1000") == "agent")
            #expect(try await inside.sh("ls -d /root/.cache /work 2>/dev/null; ls /home") == "agent")
            let processes = try await inside.sh("ls /proc | grep -c '^[0-9]'")
            #expect(try #require(Int(processes)) < 12)
        }
    }

    @Test func `the base root is read through and never written`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            _ = try await inside.sh("echo mine >/etc/debian_version; rm /etc/os-release; echo x >/usr/bin/new")
            #expect(access(BerthCache.baseRoot + "/usr/bin/new", F_OK) != 0)
            #expect(access(BerthCache.baseRoot + "/etc/os-release", F_OK) == 0)
            try await fixture.provider.stop(inside.reference, grace: .seconds(5))
            var next = inside.reference
            next.instance += 1
            try await fixture.provider.start(next, ProviderFixture.launch)
            let again = try await fixture.inside(next)
            #expect(try await again.sh("cat /etc/debian_version /usr/bin/new") == "mine\nx")
        }
    }

    @Test func `root inside is never root outside, and cannot reach the host`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            let status = try await check(["sh", "-c", "grep ^Uid: /proc/\(inside.holder)/status"])
            #expect(!status.split(separator: "\t").dropFirst().contains("0"))
            #expect(try await inside.fails("mount -t tmpfs none /mnt && echo 1 >/proc/sys/kernel/panic"))
            #expect(try await inside.fails("mknod /tmp/disk b 254 0"))
            #expect(try await inside.fails("cat /run/berth/token; ls /proc/1/root/old /old"))
            #expect(try await inside.sh("grep -c /old /proc/mounts || true") == "0")
        }
    }

    @Test func `packages can be unpacked as root inside`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            guard try await inside.sh("id -u") == "0" else { return }
            let script = """
                mkdir -p /tmp/p/DEBIAN /tmp/p/opt/thing && echo hello >/tmp/p/opt/thing/file
                printf 'Package: thing\\nVersion: 1\\nArchitecture: all\\nMaintainer: n\\nDescription: d\\n' >/tmp/p/DEBIAN/control
                chown -R 33:33 /tmp/p/opt && dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null && dpkg -i /tmp/p.deb >/dev/null
                stat -c %u /opt/thing/file
                """
            #expect(try await inside.sh(script) == "33")
        }
    }

    @Test func `the network reaches allowed host ports and no other service of the host`() async throws {
        try await withProvider(.local) { fixture in
            guard fixture.provider.capabilities.networks.contains(.open) else { return }
            let allowed = try LoopbackListener()
            let other = try LoopbackListener(everywhere: true)
            var request = fixture.request()
            request.network = try NetworkPolicy(.open, hostPorts: [allowed.port])
            let inside = try await fixture.inside(fixture.started(request))
            let tries =
                "for i in $(seq 200); do curl -s -m 1 http://127.0.0.1:\(allowed.port) && break; sleep 0.01; done"
            #expect(try await inside.sh(tries) == "hello")
            #expect(try await inside.fails("curl -s -m 1 http://127.0.0.1:\(other.port)"))
            for address in try await check(["hostname", "-I"]).split(separator: " ") where !address.contains(":") {
                #expect(try await inside.fails("curl -s -m 1 http://\(address):\(other.port)"))
            }
            #expect(try await inside.fails("curl -s -m 1 http://169.254.169.254/"))
            #expect(try await inside.sh("cat /proc/net/dev").contains("eth0"))
        }
    }

    @Test func `names resolve inside where they resolve outside`() async throws {
        try await withProvider(.local) { fixture in
            guard fixture.provider.capabilities.networks.contains(.open) else { return }
            let name = "deb.debian.org"
            // A machine without a resolver has nothing to compare with.
            guard try await run(["getent", "ahostsv4", name]).status == 0 else { return }
            let inside = try await fixture.inside()
            let script = "for i in $(seq 50); do getent ahostsv4 \(name) >/dev/null && exit 0; sleep 0.05; done; exit 1"
            #expect(try await inside.run(script).status == 0)
        }
    }

    @Test func `a network whose carrier was killed comes back`() async throws {
        try await withProvider(.local) { fixture in
            guard fixture.provider.capabilities.networks.contains(.open) else { return }
            let allowed = try LoopbackListener()
            var request = fixture.request()
            request.network = try NetworkPolicy(.open, hostPorts: [allowed.port])
            let inside = try await fixture.inside(fixture.started(request))
            let tries =
                "for i in $(seq 300); do curl -s -m 1 http://127.0.0.1:\(allowed.port) && break; sleep 0.01; done"
            #expect(try await inside.sh(tries) == "hello")
            let record = "\(fixture.directory)/data/environments/\(request.environmentID)/instance"
            let carrier = try await check(["sed", "-n", "s/^network \\([0-9]*\\) .*/\\1/p", record])
            kill(try #require(Int32(carrier)), SIGKILL)
            #expect(try await inside.sh(tries) == "hello")
        }
    }

    @Test func `root inside can neither open a raw socket nor touch an interface`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            let raw = try await inside.run("perl -e 'socket(S, 2, 3, 1) or die $!'")
            #expect(raw.errors.contains("not permitted"))
            let down = try await inside.run(
                "perl -e 'socket(S, 2, 2, 0) or die; $r = pack(\"a16 s x14\", \"lo\", 0); ioctl(S, 0x8914, $r) or die $!'"
            )
            #expect(down.errors.contains("not permitted"))
        }
    }

    /// syslog(2) and keyctl(2) by number, and one call of another architecture's table would be refused alike.
    @Test func `the kernel's log and keys are out of reach`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            let numbers = try await check(["uname", "-m"]) == "aarch64" ? [116, 219] : [103, 250]
            for number in numbers {
                let result = try await inside.run("perl -e 'syscall(\(number), 10, 0, 0, 0, 0) >= 0 or die $!'")
                #expect(result.errors.contains("not permitted"))
            }
            #expect(try await inside.sh("unshare -Ur id -u") == "0")
        }
    }

    @Test func `a closed network has loopback only`() async throws {
        try await withProvider(.local) { fixture in
            var request = fixture.request()
            request.network = .none
            let inside = try await fixture.inside(fixture.started(request))
            #expect(try await inside.sh("ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev") == "1")
            #expect(try await inside.fails("curl -s -m 1 http://198.18.0.1/"))
        }
    }

    @Test func `memory and processes are capped`() async throws {
        try await withProvider(.local) { fixture in
            let enforcement = fixture.provider.capabilities.limits
            guard enforcement == .cgroup1 || enforcement == .cgroup2 else { return }
            let limits = ResourceLimits(memoryBytes: 96 << 20, processes: 48)
            let inside = try await fixture.inside(fixture.started(fixture.request(limits)))
            let hog = try await inside.run("python3 -c 'print(len(bytearray(400000000)))'")
            #expect(!hog.output.contains("400000000"))
            let forks = "for i in $(seq 100); do sleep 1 & done 2>&1; wait"
            let storm = try await inside.run(forks)
            #expect((storm.output + storm.errors).contains("fork"))
        }
    }

    @Test func `processors are capped`() async throws {
        try await withProvider(.local) { fixture in
            let enforcement = fixture.provider.capabilities.limits
            guard enforcement == .cgroup1 || enforcement == .cgroup2 else { return }
            let limits = ResourceLimits(cpus: 0.05)
            let inside = try await fixture.inside(fixture.started(fixture.request(limits)))
            #expect(try await inside.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").status == 0)
            #expect(try await inside.throttledShare() > 0)
        }
    }

    @Test func `disk space is capped`() async throws {
        try await withProvider(.local) { fixture in
            guard fixture.provider.capabilities.diskCap else { return }
            let limits = ResourceLimits(diskBytes: 64 << 20)
            let inside = try await fixture.inside(fixture.started(fixture.request(limits)))
            let result = try await inside.run("head -c 200000000 /dev/zero >/home/agent/big")
            #expect(result.errors.contains("No space left on device"))
            #expect(
                try await inside.sh("rm /home/agent/big; echo ok >/home/agent/small; cat /home/agent/small") == "ok"
            )
        }
    }

    @Test func `a link planted inside leads no bind out of the sandbox`() async throws {
        try await withProvider(.local) { fixture in
            let inside = try await fixture.inside()
            try await fixture.provider.stop(inside.reference, grace: .seconds(5))
            // What root inside could leave behind: links where the launcher binds at the next boot.
            let upper = "\(fixture.directory)/data/environments/\(inside.reference.environmentID)/layer/upper"
            let plant = """
                cd "$1" && mkdir -p etc opt && ln -sf /old/etc/shadow etc/hosts && rm -rf opt/berth
                ln -s /old/root opt/berth && rm -rf dev && ln -s /old/dev dev
                """
            _ = try await check(["sh", "-c", plant, "sh", upper])
            var next = inside.reference
            next.instance += 1
            try await fixture.provider.start(next, ProviderFixture.launch)
            let again = try await fixture.inside(next)
            #expect(try await again.sh("head -1 /etc/hosts") == "127.0.0.1 localhost")
            #expect(try await again.sh("ls /opt/berth") == "bin")
        }
    }
}
