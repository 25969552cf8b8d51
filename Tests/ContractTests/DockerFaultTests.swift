import Base
import Domain
import EventLoop
import Glibc
import Providers
import TestSupport
import Testing

/// What the provider `docker` makes of an Engine that fails, dies or is used by others too.
@Suite struct DockerFaultTests {
    private static func name(_ reference: InstanceReference) -> String { "berth-\(reference.environmentID)" }

    struct Fault: Sendable, CustomTestStringConvertible {
        var match: String
        var fault: String
        var testDescription: String { "\(fault) \(match)" }
    }

    static let faults = ["error", "cut", "lose"].flatMap { fault in
        [
            "POST /containers/create", "POST /start", "GET /json", "POST /pause", "POST /unpause", "POST /stop",
            "DELETE /",
        ]
        .map { Fault(match: $0, fault: fault) }
    }

    @Test(arguments: faults)
    func `a call that failed can be repeated, whatever became of it`(_ fault: Fault) async throws {
        try await withFaultyEngine { fixture, spoil in
            let provider = fixture.provider
            let request = fixture.request(ResourceLimits(processes: 64))
            _ = try await provider.create(request)
            var reference = InstanceReference(environmentID: request.environmentID, instance: 1)
            try spoil(#"[{"match":"\#(fault.match)","fault":"\#(fault.fault)"}]"#)
            var failures: [BerthError] = []
            func again(_ body: () async throws -> Void) async throws {
                do {
                    try await body()
                } catch let error as BerthError {
                    failures.append(error)
                    try await body()
                }
            }
            try await again { try await provider.start(reference, ProviderFixture.launch) }
            #expect(try await fixture.state(reference) == .running)
            try await again { try await provider.pause(reference) }
            try await again { try await provider.resume(reference) }
            try await again { try await provider.stop(reference, grace: .seconds(5)) }
            reference.instance = 2
            try await again { try await provider.start(reference, ProviderFixture.launch) }
            try await again { try await provider.destroy(reference) }
            #expect(failures.count <= 1)
            for error in failures {
                #expect(error.isRetryable, "\(error)")
                if fault.fault == "error" { #expect(error.message.contains("scripted failure"), "\(error)") }
            }
            let engine = try await DockerEngine.shared()
            #expect(try await engine.containers(label: "berth.environment=\(request.environmentID)").isEmpty)
            #expect(access("\(fixture.directory)/data/environments/\(request.environmentID)", F_OK) != 0)
        }
    }

    @Test func `a slow Engine is waited for`() async throws {
        try await withFaultyEngine { fixture, spoil in
            try spoil(
                #"[{"match":"POST /start","fault":"slow","seconds":2},{"match":"POST /stop","fault":"slow","seconds":2}]"#
            )
            let reference = try await fixture.started(fixture.request(ResourceLimits(processes: 64)))
            #expect(try await fixture.state(reference) == .running)
            try await fixture.provider.stop(reference, grace: .seconds(5))
        }
    }

    @Test func `a container that somebody removed is seen as ended unseen, and its files come back`() async throws {
        try await withProvider(.docker) { fixture in
            var reference = try await fixture.started()
            _ = try await fixture.inside(reference).sh("echo mine >~/kept")
            let engine = try await DockerEngine.shared()
            try await engine.api("DELETE", "/containers/\(Self.name(reference))?force=1")
            let observed = try await fixture.provider.inspect(reference.environmentID)
            #expect(observed.state == .stopped(.unknown))
            #expect(observed.words?.contains("removed") == true)
            try await fixture.provider.stop(reference, grace: .zero)
            reference.instance = 2
            try await fixture.provider.start(reference, ProviderFixture.launch)
            #expect(try await fixture.inside(reference).sh("cat ~/kept") == "mine")
        }
    }

    @Test func `a container of an environment that nobody knows is listed, and can be removed`() async throws {
        try await withProvider(.docker) { fixture in
            let reference = try await fixture.started()
            TemporaryDirectory.remove("\(fixture.directory)/data/environments/\(reference.environmentID)")
            let found = try await fixture.provider.list(label: "test")
            #expect(found.map(\.environmentID) == [reference.environmentID])
            #expect(found.map(\.state) == [.running])
            #expect(try await fixture.provider.inspect(reference.environmentID).state == .running)
            try await fixture.provider.destroy(reference)
            #expect(try await fixture.provider.list(label: "test").isEmpty)
        }
    }

    @Test func `servers that share an Engine see only their own containers`() async throws {
        try await withProvider(.docker) { mine in
            let reference = try await mine.started()
            try await withProvider(.docker) { other in
                #expect(try await other.provider.list(label: "test").isEmpty)
                await expect(.notFound) { _ = try await other.provider.inspect(reference.environmentID) }
                try await other.provider.destroy(reference)
            }
            #expect(try await mine.state(reference) == .running)
        }
    }

    @Test func `a foreign container of the same name is an error that names it, and stays`() async throws {
        try await withProvider(.docker) { fixture in
            let request = fixture.request()
            let reference = InstanceReference(environmentID: request.environmentID, instance: 1)
            let engine = try await DockerEngine.shared()
            let foreign: JSONValue = ["Image": "berth/worker-base:2", "Cmd": ["true"]]
            try await engine.api("POST", "/containers/create?name=\(Self.name(reference))", foreign)
            _ = try await fixture.provider.create(request)
            await expect(.conflict) { try await fixture.provider.start(reference, ProviderFixture.launch) }
            try await fixture.provider.destroy(reference)
            try await engine.api("DELETE", "/containers/\(Self.name(reference))")
        }
    }

    @Test func `containers outlive an Engine that was killed where it is told to let them`() async throws {
        try await DockerEngine.with(outlivedByContainers: true) { engine in
            try await withProvider(.docker, socket: engine.socket) { fixture in
                let reference = try await fixture.started()
                let holder = try await fixture.provider.inspect(reference.environmentID).holderPID
                try await engine.kill()
                await expect(.unavailable) { _ = try await fixture.provider.inspect(reference.environmentID) }
                await expect(.unavailable) { _ = try await fixture.provider.list(label: "test") }
                await expect(.unavailable) { try await fixture.provider.stop(reference, grace: .zero) }
                try await engine.start()
                let observed = try await fixture.provider.inspect(reference.environmentID)
                #expect(observed.state == .running)
                #expect(observed.holderPID == holder)
                #expect(try await fixture.inside(reference).sh("echo on") == "on")
                try await fixture.provider.stop(reference, grace: .seconds(5))
            }
        }
    }

    @Test func `containers that ended with their Engine are stopped, and start again with their files`() async throws {
        try await DockerEngine.with(outlivedByContainers: false) { engine in
            try await withProvider(.docker, socket: engine.socket) { fixture in
                var reference = try await fixture.started()
                _ = try await fixture.inside(reference).sh("echo mine >~/kept")
                try await engine.kill()
                try await engine.start()
                guard case .stopped = try await fixture.state(reference) else {
                    Issue.record("not stopped: \(try await fixture.state(reference))")
                    return
                }
                reference.instance = 2
                try await fixture.provider.start(reference, ProviderFixture.launch)
                #expect(try await fixture.inside(reference).sh("cat ~/kept") == "mine")
            }
        }
    }

    /// The shared Engine behind a proxy; `spoil` takes its rules.
    private func withFaultyEngine(
        _ body: (ProviderFixture, _ spoil: (String) throws -> Void) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory("proxy")
        let rules = try folder.write("[]", to: "rules.json")
        let proxy = try ChildProcess([
            "python3", ScriptedPeer.path("docker_proxy.py"), folder.file("docker.sock"),
            try await DockerEngine.shared().socket, rules,
        ])
        _ = try await proxy.line(containing: "up")
        try await withProvider(.docker, socket: folder.file("docker.sock")) { fixture in
            try await body(fixture) { try folder.write($0, to: "rules.json") }
        }
        withExtendedLifetime(proxy) {}
    }
}
