import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// What stands in a hand-over's way: said in words, with the way out, and everything stays where it was.
@Suite(.enabled(if: geteuid() == 0)) struct HandOverBadInputTests {
    private func send(_ berths: TwoBerths, _ id: String, to remote: String = "cloud") async throws -> CommandResult {
        try await berths.desktop.berth("ws", "send", id, "--to", remote)
    }

    /// It is owned here as before, and may be worked in.
    private func expectUntouched(_ berths: TwoBerths, _ id: String, _ portrait: String) async throws {
        #expect(try await berths.desktop.json("ws", "show", id)["location"]?.string == "DESKTOP")
        let place = try await berths.checkout(berths.desktop)
        #expect(try await berths.shell(berths.desktop, place, TwoBerths.portrait) == portrait)
        // A run would commit what is changed.
        for deed in [["set", id, "THAWED=yes"], ["rm", id, "THAWED"]] {
            let done = try await berths.desktop.run(["ws", "env"] + deed)
            #expect(done.status == 0, "thawed: \(done.errors)")
        }
    }

    @Test func `a disk that fills in mid-send rolls it back; with room, the same command ends it`() async throws {
        let directory = try TemporaryDirectory("berth-cloud")
        let disk = directory.file("disk")
        guard mkdir(disk, 0o755) == 0 else { throw SystemFailure("mkdir", errno) }
        // A mount namespace that lives as long as this process.
        let keeper = try ChildProcess([
            "unshare", "-m", "--propagation", "private", "sh", "-c",
            "mount -t tmpfs -o size=192m none '\(disk)' && echo mounted && exec cat",
        ])
        _ = try await keeper.line(containing: "mounted")
        let inside = ["nsenter", "-m", "-t", "\(keeper.pid)"]
        let cloud = try Installation(
            prefix: inside,
            variables: ["BERTH_MODE": "cloud", "XDG_CONFIG_HOME": directory.file("home")],
            directory: directory,
            data: disk + "/data",
            root: "/proc/\(keeper.pid)/root"
        )
        try await TwoBerths.with(cloud: cloud) { berths, _, _ in
            let id = try #require(try await berths.begin()["id"]?.string)
            try await berths.logIn()
            let place = try await berths.checkout(berths.desktop)
            let fill = "head -c 20000000 /dev/urandom > big.bin"
            _ = try await berths.shell(berths.desktop, place, TwoBerths.dirty + " && " + fill)
            let portrait = try await berths.shell(berths.desktop, place, TwoBerths.portrait)
            try await check(
                inside + [
                    "sh", "-c",
                    "head -c 10000000 /dev/zero >'\(disk)/spare'; cat /dev/zero >'\(disk)/fill'; rm '\(disk)/spare'",
                ]
            )
            let refused = try await send(berths, id)
            #expect(refused.status != 0)
            #expect(refused.errors.contains("room") || refused.errors.contains("full"), "\(refused.errors)")
            #expect(refused.errors.contains("→"), "\(refused.errors)")
            try await expectUntouched(berths, id, portrait)
            try await check(inside + ["rm", disk + "/fill"])
            let sent = try await send(berths, id)
            #expect(sent.status == 0, "\(sent.errors)")
            let there = try await berths.checkout(berths.cloud)
            #expect(try await berths.shell(berths.cloud, there, TwoBerths.portrait) == portrait)
        }
    }

    @Test func `a file of 10 GB, a foreign server and a branch that is checked out there are refused in words`()
        async throws
    {
        let pages = try TemporaryDirectory("no-berth")
        try pages.write("hello\n", to: "index.html")
        try await TwoBerths.with { berths, _, _ in
            let id = try #require(try await berths.begin()["id"]?.string)
            try await berths.logIn()
            let place = try await berths.checkout(berths.desktop)
            _ = try await berths.shell(berths.desktop, place, TwoBerths.dirty)
            let portrait = try await berths.shell(berths.desktop, place, TwoBerths.portrait)

            _ = try await berths.shell(berths.desktop, place, "truncate -s 10G huge.bin")
            let huge = try await send(berths, id)
            #expect(huge.status == 64, "\(huge.errors)")
            #expect(huge.errors.contains("huge.bin 10737418240") && huge.errors.contains("→"), "\(huge.errors)")
            _ = try await berths.shell(berths.desktop, place, "rm huge.bin")
            try await expectUntouched(berths, id, portrait)

            // The repository's own server knows nothing of hand-overs.
            let key = try String(contentsOfFile: berths.desktop.seen("api-key"), encoding: .utf8).trimmed
            let body = #"{"peer":{"name":"odd","url":"http://127.0.0.1:\#(berths.git.port)","token":"x"}}"#
            let begun = try await check([
                "curl", "-s", "-H", "authorization: Bearer \(key)", "-H", "content-type: application/json",
                "-d", body, try TwoBerths.url(of: berths.desktop) + "/v1/workspaces/\(id)/send",
            ])
            #expect(begun.contains("PREPARING"), "\(begun)")
            try await TwoBerths.waiting { try await berths.handOver(berths.desktop)?["state"]?.string == "ABORTED" }
            let foreign = try await berths.handOver(berths.desktop)?["failure"]
            #expect(foreign?["message"]?.string?.contains("no Berth server") == true, "\(String(describing: foreign))")
            #expect(foreign?["remedy"]?.string?.contains("berth remote ls") == true)
            try await expectUntouched(berths, id, portrait)

            let branch = try #require(try await berths.desktop.json("ws", "show", id)["branch"]?.string)
            let other = try await berths.cloud.berth(
                "ws",
                "create",
                berths.repository,
                "--branch",
                branch,
                "--name",
                "other"
            )
            #expect(other.status == 0, "\(other.errors)")
            let taken = try await send(berths, id)
            #expect(taken.status == 73 && taken.errors.contains("'other'"), "\(taken.errors)")
            #expect(taken.errors.contains("berth ws archive other"), "\(taken.errors)")
            try await expectUntouched(berths, id, portrait)
            let archived = try await berths.cloud.berth("ws", "archive", "other")
            #expect(archived.status == 0, "\(archived.errors)")
            let sent = try await send(berths, id)
            #expect(sent.status == 0, "\(sent.errors)")
        }
    }

    @Test func `another version of the exchange is refused before anything is begun`() async throws {
        try await withServer { berth, _ in
            let key = try String(contentsOfFile: berth.seen("api-key"), encoding: .utf8).trimmed
            let answer = try await check([
                "curl", "-s", "-H", "authorization: Bearer \(key)", "-H", "content-type: application/json",
                "-d", #"{"kind":"offer","version":99}"#,
                try TwoBerths.url(of: berth) + "/v1/hand-overs/ho_01jd0000000000000000000000/messages",
            ])
            #expect(answer.contains("version 99") && answer.contains("same version"), "\(answer)")
            #expect(try await berth.json("ws", "hand-overs")["items"]?.array?.isEmpty == true)
        }
    }
}
