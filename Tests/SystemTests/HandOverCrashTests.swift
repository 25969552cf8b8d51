import Base
import Domain
import FoundationEssentials
import TestSupport
import Testing

/// A hand-over stopped at every message, before and after it, by kill -9 of either server or by a cut link.
@Suite struct HandOverCrashTests {
    enum Stop: String, CaseIterable { case killSource, killDestination, cut }

    struct Case: CustomTestStringConvertible, Sendable {
        var step: String
        var moment: String
        var stop: Stop

        var testDescription: String { "\(stop.rawValue) \(moment) \(step)" }
    }

    /// Messages of a driving source, and those of a driving destination.
    static let sending = ["offer", "deliver", "prepare", "commit"]
    static let pulling = ["request", "pack", "fetch", "decide", "settled"]

    static func cases(_ steps: [String]) -> [Case] {
        steps.flatMap { step in
            ["before", "after"].flatMap { moment in
                Stop.allCases.map { Case(step: step, moment: moment, stop: $0) }
            }
        }
    }

    /// Which states of the machine the cases stop a side in. A state that is not here is reached by a person alone, and has
    /// a test of its own below.
    private static let stoppedIn: [HandOverState: String] = [
        .preparing: "offer before", .staging: "deliver before", .prepared: "prepare after",
        .committed: "commit before", .owner: "commit after", .done: "settled after",
        .aborted: "offer before", .retaken: "take", .orphaned: "take",
    ]

    @Test func `every state of the machine has a case`() {
        for state in HandOverState.allCases { #expect(Self.stoppedIn[state] != nil, "\(state) is never interrupted") }
    }

    @Test(arguments: HandOverCrashTests.cases(HandOverCrashTests.sending))
    func `a send that is interrupted ends with one owner who has everything`(_ given: Case) async throws {
        try await run(given, sends: true)
    }

    @Test(arguments: HandOverCrashTests.cases(HandOverCrashTests.pulling))
    func `a pull that is interrupted ends with one owner who has everything`(_ given: Case) async throws {
        try await run(given, sends: false)
    }

    private func run(_ given: Case, sends: Bool) async throws {
        let folder = try TemporaryDirectory("hand-over-proxy")
        try await TwoBerths.with { berths, desktop, cloud in
            let workspace = try await berths.begin()
            let port = try TwoBerths.port(of: berths.cloud)
            let proxy = try await ScriptedPeer("hand_over_proxy.py", ["\(port)", folder.path])
            try await berths.logIn(cloudPort: proxy.port)
            var id = try #require(workspace["id"]?.string)
            var place = try await berths.checkout(berths.desktop)
            _ = try await berths.shell(berths.desktop, place, TwoBerths.dirty)
            let portrait = try await berths.shell(berths.desktop, place, TwoBerths.portrait)
            if !sends {
                let sent = try await berths.desktop.berth("ws", "send", id, "--to", "cloud")
                #expect(sent.status == 0, "\(sent.errors)")
                id = try #require(try await berths.cloud.json("ws", "ls")["items"]?.array?.first?["id"]?.string)
            }
            let command = sends ? ["ws", "send", id, "--to", "cloud"] : ["ws", "pull", id, "--from", "cloud"]
            try folder.write("\(given.step) \(given.moment)", to: "rule")
            let going = try berths.desktop.starting(command)
            try await TwoBerths.waiting { FileManager.default.fileExists(atPath: folder.file("reached")) }

            let source = sends ? desktop : cloud
            let killed = given.stop == .killSource ? source : (sends ? cloud : desktop)
            if given.stop != .cut {
                killed.signal(9)
                _ = try await killed.exit(within: .seconds(30))
            }
            try folder.write("", to: "go")
            going.signal(15)
            _ = try? await going.exit(within: .seconds(30))
            try await expectAtMostOneOwner(berths)
            if given.stop != .cut {
                let isDesktop = killed === desktop
                let restarted = try await (isDesktop ? berths.desktop : berths.cloud).serve(
                    listen: isDesktop ? "127.0.0.1:0" : "127.0.0.1:\(port)"
                )
                berths.keep(restarted)
            }
            let result = try await berths.desktop.run(command, within: .seconds(120))
            // It may have ended before the command came.
            let hadEnded = ["is here already", "not here any more"].contains { result.errors.contains($0) }
            #expect(result.status == 0 || hadEnded, "\(result.errors)")
            let owner = sends ? berths.cloud : berths.desktop
            place = try await berths.checkout(owner)
            #expect(try await berths.shell(owner, place, TwoBerths.portrait) == portrait)
            try await expectExactlyOneOwner(berths, owner: owner)
        }
    }

    private func expectAtMostOneOwner(_ berths: TwoBerths) async throws {
        let owners = try await berths.owners()
        #expect(owners.count <= 1, "\(owners)")
    }

    private func expectExactlyOneOwner(_ berths: TwoBerths, owner: Installation) async throws {
        let owners = try await berths.owners()
        #expect(owners == [owner === berths.desktop ? "desktop" : "cloud"])
    }
}
