import Base
import FoundationEssentials
import TestSupport
import Testing

/// A person as the arbiter, where one side never comes back; and what happens when it does.
@Suite struct HandOverTakeTests {
    /// Stops a send at a message and kills one server.
    private func interrupted(
        _ step: String,
        _ moment: String,
        killsDesktop: Bool,
        _ body: (TwoBerths, _ id: String, _ port: Int) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory("hand-over-take")
        try await TwoBerths.with { berths, desktop, cloud in
            let workspace = try await berths.begin()
            let port = try TwoBerths.port(of: berths.cloud)
            let proxy = try await ScriptedPeer("hand_over_proxy.py", ["\(port)", folder.path])
            try await berths.logIn(cloudPort: proxy.port)
            let id = try #require(workspace["id"]?.string)
            _ = try await berths.shell(
                berths.desktop,
                try await berths.checkout(berths.desktop),
                TwoBerths.dirty
            )
            try folder.write("\(step) \(moment)", to: "rule")
            let going = try berths.desktop.starting("ws", "send", id, "--to", "cloud")
            try await TwoBerths.waiting { FileManager.default.fileExists(atPath: folder.file("reached")) }
            let killed = killsDesktop ? desktop : cloud
            killed.signal(9)
            _ = try await killed.exit(within: .seconds(30))
            try folder.write("", to: "go")
            going.signal(15)
            _ = try? await going.exit(within: .seconds(30))
            try await body(berths, id, port)
        }
    }

    @Test
    func `a source whose destination is lost takes the workspace back, and the destination gives up when it returns`()
        async throws
    {
        try await interrupted("commit", "before", killsDesktop: false) { berths, id, port in
            try await TwoBerths.waiting { try await berths.handOver(berths.desktop)?["state"]?.string == "COMMITTED" }
            let unsure = try await berths.desktop.berth("ws", "take", id)
            #expect(unsure.status == 73 && unsure.errors.contains("--force"), "\(unsure.errors)")
            let taken = try await berths.desktop.berth("ws", "take", id, "--force")
            #expect(taken.status == 0, "\(taken.errors)")
            #expect(taken.errors.contains("until both meet"), "the warning: \(taken.errors)")
            #expect(try await berths.handOver(berths.desktop)?["epoch"]?.integer == 3)
            let place = try await berths.checkout(berths.desktop)
            _ = try await berths.shell(berths.desktop, place, "git status")

            berths.keep(try await berths.cloud.serve(listen: "127.0.0.1:\(port)"))
            try await TwoBerths.waiting { try await berths.handOver(berths.cloud)?["state"]?.string == "ABORTED" }
            #expect(try await berths.owners() == ["desktop"])
        }
    }

    @Test
    func `a destination whose source is lost takes the workspace, and the source steps down and keeps its version`()
        async throws
    {
        try await interrupted("prepare", "after", killsDesktop: true) { berths, _, _ in
            let arriving = try await berths.handOver(berths.cloud)
            #expect(arriving?["state"]?.string == "PREPARED")
            let id = arriving?["workspaceId"]?.string ?? ""
            let taken = try await berths.cloud.berth("ws", "take", id, "--force")
            #expect(taken.status == 0, "\(taken.errors)")
            let there = try await berths.checkout(berths.cloud)
            #expect(try await berths.shell(berths.cloud, there, "cat 'new dir/file'") == "untracked\n")

            berths.keep(try await berths.desktop.serve())
            try await TwoBerths.waiting {
                let mine = try await berths.handOver(berths.desktop)
                return mine?["state"]?.string == "ORPHANED" && mine?["stage"]?.string?.contains("berth/orphan/") == true
            }
            let here = try await berths.checkout(berths.desktop)
            let kept = try await berths.shell(
                berths.desktop,
                here,
                "git show \"$(git branch --list 'berth/orphan/*' --format='%(refname:short)')\":'new dir/file'"
            )
            #expect(kept == "untracked\n", "also what was never committed")
            #expect(try await berths.owners() == ["cloud"])
        }
    }
}
