import Base
import Domain
import Glibc
import Providers
import TestSupport
import Testing

/// What every provider does alike, on the real machine.
@Suite struct ProviderContractTests {
    @Test(arguments: ProviderSubject.allCases)
    func `an environment is created, started, stopped, started again and destroyed`(_ subject: ProviderSubject)
        async throws
    {
        try await withProvider(subject) { fixture in
            let request = fixture.request()
            let provider = fixture.provider
            let description = try await provider.create(request)
            #expect(description.linkSocket.hasPrefix(description.directory))
            let first = InstanceReference(environmentID: request.environmentID, instance: 1)
            #expect(try await fixture.state(first) == .created)
            let running = try await provider.start(first, ProviderFixture.launch)
            #expect(running.state == .running)
            #expect(running.instance == 1)
            let holder = try #require(running.holderPID)
            #expect(isAlive(holder))
            try await provider.stop(first, grace: .seconds(5))
            guard case .stopped(.exited(let code, _)) = try await fixture.state(first) else {
                Issue.record("not stopped: \(try await fixture.state(first))")
                return
            }
            // A guest that has not booted yet hears nobody: its machine is switched off.
            #expect(code == 0 || subject == .microvm && code == 143)
            #expect(!isAlive(holder))
            let second = InstanceReference(environmentID: request.environmentID, instance: 2)
            #expect(try await provider.start(second, ProviderFixture.launch).instance == 2)
            try await provider.destroy(second)
            #expect(access(description.directory, F_OK) != 0)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `repeated calls change nothing`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let request = fixture.request()
            #expect(try await fixture.provider.create(request) == fixture.provider.create(request))
            let reference = try await fixture.started(request)
            let holder = try await fixture.provider.inspect(reference.environmentID).holderPID
            let again = try await fixture.provider.start(reference, ProviderFixture.launch)
            #expect(again.holderPID == holder)
            try await fixture.provider.stop(reference, grace: .seconds(5))
            try await fixture.provider.stop(reference, grace: .seconds(5))
            try await fixture.provider.destroy(reference)
            try await fixture.provider.destroy(reference)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `concurrent starts of one instance make one holder`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let request = fixture.request()
            _ = try await fixture.provider.create(request)
            let reference = InstanceReference(environmentID: request.environmentID, instance: 1)
            let provider = fixture.provider
            let holders = await withTaskGroup(of: Int32?.self) { group in
                for _ in 0..<4 {
                    group.addTask { try? await provider.start(reference, ProviderFixture.launch).holderPID }
                }
                return await group.reduce(into: Set<Int32>()) { if let pid = $1 { $0.insert(pid) } }
            }
            let running = try await provider.inspect(request.environmentID)
            #expect(running.state == .running)
            #expect(holders.map { $0 } == [running.holderPID])
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `a call about an older instance is stale, about a newer one unknown`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let first = try await fixture.started()
            try await fixture.provider.stop(first, grace: .seconds(5))
            var second = first
            second.instance = 2
            try await fixture.provider.start(second, ProviderFixture.launch)
            await expect(.stale) { try await fixture.provider.stop(first, grace: .zero) }
            await expect(.stale) { try await fixture.provider.start(first, ProviderFixture.launch) }
            await expect(.stale) { try await fixture.provider.destroy(first) }
            var third = first
            third.instance = 3
            await expect(.notFound) { try await fixture.provider.stop(third, grace: .zero) }
            await expect(.illegalTransition) { try await fixture.provider.start(third, ProviderFixture.launch) }
            #expect(try await fixture.state(second) == .running)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `an unknown environment is not found, and destroying it succeeds`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let unknown = InstanceReference(environmentID: fixture.ids.make(), instance: 1)
            await expect(.notFound) { _ = try await fixture.provider.inspect(unknown.environmentID) }
            await expect(.notFound) { try await fixture.provider.start(unknown, ProviderFixture.launch) }
            await expect(.notFound) { try await fixture.provider.stop(unknown, grace: .zero) }
            try await fixture.provider.destroy(unknown)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `another request for the same environment is a conflict`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            var request = fixture.request()
            _ = try await fixture.provider.create(request)
            request.hostname = "other"
            await expect(.conflict) { _ = try await fixture.provider.create(request) }
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `a restarted server finds what lives, by label, and goes on with it`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            let holder = try await fixture.provider.inspect(reference.environmentID).holderPID
            let successor = try await fixture.restarted()
            let found = try await successor.list(label: "test")
            #expect(found.map(\.environmentID) == [reference.environmentID])
            #expect(found.map(\.state) == [.running])
            #expect(found.map(\.holderPID) == [holder])
            #expect(try await successor.list(label: "another").isEmpty)
            try await successor.stop(reference, grace: .seconds(5))
            #expect(holder.map(isAlive) == false)
        }
    }

    @Test(arguments: ProviderSubject.launched)
    func `a machine that went down leaves the environment stopped and intact`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            let directory = "\(fixture.directory)/data/environments/\(reference.environmentID)"
            let holder = try #require(try await fixture.provider.inspect(reference.environmentID).holderPID)
            _ = try await check(["touch", directory + "/state/kept"])
            kill(holder, SIGKILL)
            try await fixture.provider.stop(reference, grace: .zero)
            // As after a reboot: no word of the end, and pids that belong to this boot's processes by chance.
            let status = try await check(["cut", "-d", " ", "-f", "22", "/proc/self/stat"])
            let script = """
                rm -f exit && printf 'instance 1\\nboot before\\nmonitor %s %s\\nholder %s %s\\n' \
                    \(getpid()) \(status) \(getpid()) \(status) >instance
                """
            _ = try await check(["sh", "-c", script], directory: directory)
            #expect(try await fixture.state(reference) == .stopped(.unknown))
            try await fixture.provider.stop(reference, grace: .seconds(1))
            var next = reference
            next.instance = 2
            #expect(try await fixture.provider.start(next, ProviderFixture.launch).state == .running)
            #expect(access(directory + "/state/kept", F_OK) == 0)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `directories without end and without permission are removed too`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            let inside = try await fixture.inside(reference)
            let nest = """
                mkdir -p "$HOME/closed/in" && chmod 0 "$HOME/closed/in" "$HOME/closed"
                cd "$HOME" && perl -e 'for (1..1500) { mkdir "d"; chdir "d" or die }'
                """
            #expect(try await inside.run(nest).status == 0)
            try await fixture.provider.destroy(reference)
            let left = "\(fixture.directory)/data/environments/\(reference.environmentID)"
            #expect(access(left, F_OK) != 0)
        }
    }

    @Test func `providers over one directory see only their own`() async throws {
        try await withProvider(.host) { fixture in
            let reference = try await fixture.started()
            let other = try await ProviderSubject.local.make(in: fixture.directory, loop: fixture.loop)
            #expect(try await other.list(label: "test").isEmpty)
            await expect(.notFound) { _ = try await other.inspect(reference.environmentID) }
            await expect(.notFound) { try await other.stop(reference, grace: .zero) }
            try await other.destroy(reference)
            #expect(try await fixture.state(reference) == .running)
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `a killed holder is seen as stopped by its signal`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            let observation = try await fixture.provider.inspect(reference.environmentID)
            let holder = try #require(observation.holderPID)
            kill(holder, SIGKILL)
            // Stopping what is gone waits for the monitor to have cleared away.
            try await fixture.provider.stop(reference, grace: .zero)
            guard case .stopped(.killed(let signal, _)) = try await fixture.state(reference) else {
                Issue.record("not stopped")
                return
            }
            #expect(signal == Int(SIGKILL))
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `an instance whose monitor was killed can still be stopped`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            let record = "\(fixture.directory)/data/environments/\(reference.environmentID)/instance"
            let monitor = try await check(["sed", "-n", "s/^monitor \\([0-9]*\\) .*/\\1/p", record])
            kill(try #require(Int32(monitor)), SIGKILL)
            #expect(try await fixture.state(reference) == .running)
            try await fixture.provider.stop(reference, grace: .seconds(5))
            guard case .stopped = try await fixture.state(reference) else {
                Issue.record("not stopped")
                return
            }
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `pausing is what the capability says`(_ subject: ProviderSubject) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            guard fixture.provider.capabilities.pause == .freeze else {
                await expect(.unsupported) { try await fixture.provider.pause(reference) }
                await expect(.unsupported) { try await fixture.provider.resume(reference) }
                return
            }
            try await fixture.provider.pause(reference)
            try await fixture.provider.pause(reference)
            #expect(try await fixture.state(reference) == .paused)
            try await fixture.provider.resume(reference)
            try await fixture.provider.resume(reference)
            #expect(try await fixture.state(reference) == .running)
            try await fixture.provider.pause(reference)
            try await fixture.provider.stop(reference, grace: .seconds(5))
            await expect(.illegalTransition) { try await fixture.provider.pause(reference) }
            await expect(.illegalTransition) { try await fixture.provider.resume(reference) }
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `five rounds of pause and resume keep the newest bytes and the process that writes them`(
        _ subject: ProviderSubject
    ) async throws {
        try await withProvider(subject) { fixture in
            let reference = try await fixture.started()
            guard fixture.provider.capabilities.pause == .freeze else { return }
            let inside = try await fixture.inside(reference)
            let writer = """
                setsid sh -c 'i=0; while :; do i=$((i+1)); echo $i >>numbers; sleep 0.02; done' >/dev/null 2>&1 &
                echo $! >writer
                """
            let home = try await inside.sh("mktemp -d")
            #expect(try await inside.run("cd \(home) || exit\n\(writer)").status == 0)
            var before = 0
            for round in 1...5 {
                let newest = "round \(round) \(String(repeating: "x", count: round * 1000))"
                _ = try await inside.sh("cd \(home) && echo '\(newest)' >newest")
                try await fixture.provider.pause(reference)
                try await fixture.provider.resume(reference)
                #expect(try await inside.sh("cd \(home) && cat newest") == newest)
                let count = try await inside.sh(
                    "cd \(home) && kill -0 $(cat writer) && cp numbers seen && seq $(wc -l <seen) | cmp - seen && wc -l <seen"
                )
                let now = try #require(Int(count.trimmed), "round \(round): \(count)")
                #expect(now >= before)
                before = now
            }
        }
    }

    enum Before: CaseIterable { case created, running, paused, stopped, killed, deaf }

    @Test(arguments: ProviderSubject.allCases, Before.allCases)
    func `an environment can be destroyed in any state and nothing is left`(
        _ subject: ProviderSubject,
        _ before: Before
    )
        async throws
    {
        try await withProvider(subject) { fixture in
            let request = fixture.request()
            let description = try await fixture.provider.create(request)
            let reference = InstanceReference(environmentID: request.environmentID, instance: 1)
            var holder: Int32?
            if before != .created {
                holder = try await fixture.provider.start(reference, ProviderFixture.launch).holderPID
            }
            switch before {
            case .created, .running: break
            case .paused:
                if fixture.provider.capabilities.pause == .freeze { try await fixture.provider.pause(reference) }
            case .stopped: try await fixture.provider.stop(reference, grace: .seconds(5))
            case .killed: kill(holder ?? 0, SIGKILL)
            case .deaf: kill(holder ?? 0, SIGSTOP)
            }
            try await fixture.provider.destroy(reference)
            if let holder { #expect(!isAlive(holder)) }
            #expect(access(description.directory, F_OK) != 0)
            #expect(try await processes(naming: request.environmentID.text).isEmpty)
            #expect(try await controlGroups(naming: request.environmentID.text).isEmpty)
            #expect(!(try await check(["cat", "/proc/self/mountinfo"])).contains(request.environmentID.text))
            await expect(.notFound) { _ = try await fixture.provider.inspect(request.environmentID) }
        }
    }

    @Test(arguments: ProviderSubject.allCases)
    func `limits that are required and cannot be enforced are refused by name`(_ subject: ProviderSubject) async throws
    {
        try await withProvider(subject) { fixture in
            var request = fixture.request(ResourceLimits(memoryBytes: 128 << 20))
            request.limitsPolicy = .required
            let enforcement = fixture.provider.capabilities.limits
            if [.cgroup1, .cgroup2, .machine].contains(enforcement) {
                _ = try await fixture.provider.create(request)
            } else {
                await expect(.unsupported) { _ = try await fixture.provider.create(request) }
                #expect(!fixture.provider.capabilities.limitations.isEmpty)
            }
        }
    }
}

/// Expects `body` to throw a `BerthError` with `code`.
func expect(_ code: ErrorCode, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void) async
{
    do {
        try await body()
        Issue.record("did not throw", sourceLocation: sourceLocation)
    } catch let error as BerthError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
}

func isAlive(_ pid: Int32) -> Bool { statFields(pid).map { $0[0] != "Z" } ?? false }

/// Fields 3 and following of /proc/PID/stat.
private func statFields(_ pid: Int32) -> [Substring]? {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = fread(&buffer, 1, buffer.count, file)
    let text = String(decoding: buffer.prefix(count), as: UTF8.self)
    return text.lastIndex(of: ")").map { text[text.index(after: $0)...].split(separator: " ") }
}

/// Command lines and environments of living processes that name `text`.
func processes(naming text: String) async throws -> String {
    try await run(["sh", "-c", "grep -las -- \"$1\" /proc/[0-9]*/environ | grep -v /self/ || true", "sh", text]).output
}

func controlGroups(naming text: String) async throws -> String {
    // Its status tells only that groups of other tests went away meanwhile.
    try await run(["find", "/sys/fs/cgroup", "-name", "*\(text)*"]).output
}
