import Base
import Domain
import Glibc
import Providers
import TestSupport
import Testing

/// The limits of every provider, seen and tried from inside.
@Suite struct ProviderCapsContractTests {
    private static func enforcesGroups(_ fixture: ProviderFixture) -> Bool {
        [.cgroup1, .cgroup2].contains(fixture.provider.capabilities.limits)
    }

    @Test(arguments: ProviderSubject.allCases)
    func `who takes more memory than the cap is killed, and the environment goes on`(_ subject: ProviderSubject)
        async throws
    {
        try await withProvider(subject) { fixture in
            guard Self.enforcesGroups(fixture) else { return }
            let limits = ResourceLimits(memoryBytes: 128 << 20, processes: 256)
            let inside = try await fixture.inside(fixture.started(fixture.request(limits)))
            // In pieces: a kernel of its own refuses at once what it can never give.
            let taking = "b = [bytes([n % 256]) * (8 << 20) for n in range(1024)]"
            let hog = "echo 1000 >/proc/self/oom_score_adj; exec python3 -c '\(taking)'"
            #expect(try await inside.run(hog).status == 137)
            #expect(try await inside.sh("echo on") == "on")
            #expect(try await fixture.state(inside.reference) == .running)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `a fork bomb stays within its cap, and the environment can be destroyed`(_ subject: ProviderSubject)
        async throws
    {
        try await withProvider(subject) { fixture in
            // Without control groups the cap counts a user's processes, whatever environment they are in.
            guard Self.enforcesGroups(fixture) else { return }
            let inside = try await fixture.inside(fixture.started(fixture.request(ResourceLimits(processes: 64))))
            let bomb = """
                import os, signal, time
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                children = []
                try:
                    while True:
                        child = os.fork()
                        if child == 0:
                            while True: time.sleep(987)
                        children.append(child)
                except BlockingIOError: print(len(children))
                for child in children: os.kill(child, 9)
                """
            let count = try await inside.run("python3 -c \"\(bomb)\"")
            let children = try #require(Int(count.output.trimmed), "\(count.errors)")
            #expect((32..<64).contains(children))
            #expect(try await inside.sh("echo on") == "on")
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `ten seconds at a quota give the processor time of the quota`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            // A machine's clock and its processors are its own: what its processes count is not what the host gave.
            guard Self.enforcesGroups(fixture), subject != .microvm else { return }
            let inside = try await fixture.inside(fixture.started(fixture.request(ResourceLimits(cpus: 0.1))))
            let spin = """
                import time
                end = time.monotonic() + 10
                while time.monotonic() < end: pass
                print(time.process_time())
                """
            let used = try #require(Double(try await inside.sh("python3 -c '\(spin)'")))
            #expect(used <= 1.1)
            // A machine that is busy elsewhere gives less; what it gives then is no matter of the quota.
            if try await inside.throttledShare() > 0.9 { #expect(used >= 0.9) }
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `a full disk refuses with the system's own error, and keeps what it has`(_ subject: ProviderSubject)
        async throws
    {
        try await withProvider(subject) { fixture in
            guard fixture.provider.capabilities.diskCap else { return }
            let inside = try await fixture.inside(
                fixture.started(fixture.request(ResourceLimits(diskBytes: 64 << 20, processes: 256)))
            )
            let fill = "echo kept >~/kept; dd if=/dev/zero of=$HOME/fill bs=1M count=200"
            let result = try await inside.run(fill)
            #expect(result.status != 0)
            #expect(result.errors.contains("No space left on device"), "\(result.errors)")
            #expect(try await inside.sh("rm ~/fill; cat ~/kept") == "kept")
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `files outlive five rounds of pause and resume, and of stop and start`(_ subject: ProviderSubject) async throws
    {
        try await withProvider(subject) { fixture in
            let limits = ResourceLimits(diskBytes: 64 << 20, processes: 256)
            var reference = try await fixture.started(fixture.request(limits))
            for round in 1...5 {
                let inside = try await fixture.inside(reference)
                _ = try await inside.sh("echo \(round) >>~/rounds")
                if fixture.provider.capabilities.pause == .freeze {
                    try await fixture.provider.pause(reference)
                    try await fixture.provider.resume(reference)
                    #expect(try await inside.sh("tail -1 ~/rounds") == "\(round)")
                }
                try await fixture.provider.stop(reference, grace: .seconds(5))
                reference.instance += 1
                try await fixture.provider.start(reference, ProviderFixture.launch)
            }
            let inside = try await fixture.inside(reference)
            #expect(try await inside.sh("tr '\\n' ' ' <~/rounds") == "1 2 3 4 5")
        }
    }
}
