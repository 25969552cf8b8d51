import Base
import FoundationEssentials
import TestSupport
import Testing

/// Servers of one database that reach each other over TLS, at the addresses that they advertise.
@Suite struct TLSReplicaTests {
    @Test func `servers reach each other where they say, and their worker finds the one that it was not told of`()
        async throws
    {
        try await ReplicaInstallation.with { setup in
            let bytes = SystemRandomness().bytes(2)
            let hosts = (1...3).map { "127.\(64 + Int(bytes[0] % 128)).\(bytes[1]).\($0)" }
            try await TLSInstallation.makeCertificate(in: setup.folder.path, for: hosts)
            let near = try await setup.serveTLS("near", at: hosts[0] + ":7443")
            let far = try await setup.serveTLS("far", at: hosts[1] + ":7443")
            let stranger = try await setup.serveTLS("stranger", at: hosts[2] + ":7443", trusts: false)
            let worker = try await setup.worker([near], agent: "true")

            let listed = try await setup.call("/v1/servers", at: far)["items"]?.array ?? []
            #expect(listed.compactMap { $0["address"]?.string }.sorted() == hosts.map { "https://\($0):7443" })
            #expect(listed.allSatisfy { $0["status"]?.string == "living" })
            #expect(listed.reduce(0) { $0 + ($1["workers"]?.integer ?? 0) } == 1)
            let name = try #require(
                try await setup.call("/v1/workers", at: far)["items"]?.array?.first?["id"]?.string
            )
            #expect(try await ReplicaTests.echo("hello", through: far, worker: name) == "hello")
            // One that does not believe the others says so, and nothing passes.
            let refused = await #expect(throws: BerthError.self) {
                try await ReplicaTests.echo("hello", through: stranger, worker: name)
            }
            #expect(refused?.message == "refused with 502")

            try await setup.end(stranger.process)
            near.process.signal(9)
            _ = try await near.process.exit()
            _ = try await worker.lines(containing: "link up", atLeast: 2, on: .stderr, within: .seconds(120))
            #expect(try await ReplicaTests.echo("again", through: far, worker: name) == "again")
            let left = try await setup.call("/v1/servers", at: far)["items"]?.array ?? []
            #expect(left.first { $0["address"]?.string == stranger.url }?["status"]?.string == "ended")
            #expect(left.first { $0["isThis"]?.bool == true }?["workers"]?.integer == 1)
            try await setup.end(worker, far.process)
        }
    }
}
