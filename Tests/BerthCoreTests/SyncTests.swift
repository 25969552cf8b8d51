import Base
import BerthCore
import Domain
import EventLoop
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// A workspace and its remote, with somebody else who pushes.
@Suite struct SyncTests {
    private struct Pair {
        let place: GitFixture
        let mirror: Mirror
        let request: WorkspaceRequest
        /// The workspace.
        let here: String
        /// Another clone of the same remote.
        let there: String

        init() async throws {
            place = try GitFixture()
            let remote = try await place.remote()
            mirror = try place.mirror(remote)
            request = place.request(remote, branch: "main")
            here = try await place.maker.make(request, from: mirror).path
            there = "\(remote).work"
        }

        func write(_ text: String, to name: String, in path: String) throws {
            try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
        }

        func push(_ text: String) async throws {
            try await place.commit(text, as: text.trimmed, in: there)
            try await place.run("push", "--quiet", "origin", "main", in: there)
        }

        func sync() async throws -> SyncReport { try await place.maker.sync(request, from: mirror) }
        func head(_ path: String) async throws -> String { try await place.run("rev-parse", "HEAD", in: path) }
    }

    @Test func `new commits are taken where nothing is in the way`() async throws {
        let pair = try await Pair()
        #expect(try await pair.sync().state == .current)
        try await pair.push("three\n")
        try await pair.push("four\n")
        try pair.write("mine\n", to: "untracked.txt", in: pair.here)
        let report = try await pair.sync()
        #expect(report.state == .current && report.taken == 2)
        #expect(try await pair.head(pair.here) == pair.head(pair.there))
        #expect(try String(contentsOfFile: "\(pair.here)/README.md", encoding: .utf8) == "four\n")
        #expect(try String(contentsOfFile: "\(pair.here)/untracked.txt", encoding: .utf8) == "mine\n")
        try await pair.place.commit("five\n", as: "Five", in: pair.here)
        let ahead = try await pair.sync()
        #expect(ahead.state == .ahead && ahead.ahead == 1 && ahead.behind == 0)
    }

    @Test func `changed files, other branches, work in progress and a fork are told and left alone`() async throws {
        let pair = try await Pair()
        let before = try await pair.head(pair.here)
        try await pair.push("three\n")
        try pair.write("mine\n", to: "README.md", in: pair.here)
        let dirty = try await pair.sync()
        #expect(dirty.state == .dirty && dirty.behind == 1 && dirty.remedy != nil)
        #expect(dirty.message?.contains("README.md") == true, "\(dirty.message ?? "")")
        #expect(try String(contentsOfFile: "\(pair.here)/README.md", encoding: .utf8) == "mine\n")
        #expect(try await pair.head(pair.here) == before)
        try await pair.place.run("checkout", "--quiet", "--", "README.md", in: pair.here)

        try await pair.place.run("switch", "--quiet", "-c", "other", in: pair.here)
        #expect(try await pair.sync().state == .elsewhere)
        try await pair.place.run("switch", "--quiet", "main", in: pair.here)

        try await pair.place.commit("fork\n", as: "Fork", in: pair.here)
        let fork = try await pair.head(pair.here)
        let diverged = try await pair.sync()
        #expect(diverged.state == .diverged && diverged.ahead == 1 && diverged.behind == 1)
        #expect(diverged.remedy?.contains("origin/main") == true)
        #expect(try await pair.head(pair.here) == fork)
        _ = try await run(["git", "merge", "origin/main"], directory: pair.here)
        #expect(try await pair.sync().state == .busy)
    }

    @Test func `an untracked file in the way stays`() async throws {
        let pair = try await Pair()
        try pair.write("theirs\n", to: "new.txt", in: pair.there)
        try await pair.push("three\n")
        try pair.write("mine\n", to: "new.txt", in: pair.here)
        let report = try await pair.sync()
        #expect(report.state == .dirty)
        #expect(try String(contentsOfFile: "\(pair.here)/new.txt", encoding: .utf8) == "mine\n")
        #expect(try await pair.place.run("for-each-ref", "refs/berth", in: pair.here) == "")
    }

    @Test func `a remote without the branch, and one that is gone, are states`() async throws {
        let pair = try await Pair()
        try await pair.place.run("branch", "-m", "main", "mine", in: pair.here)
        var request = pair.request
        request.branch = "mine"
        #expect(try await pair.place.maker.sync(request, from: pair.mirror).state == .unpublished)
        try FileManager.default.removeItem(atPath: pair.request.repositoryURL)
        let gone = try await pair.place.maker.sync(request, from: pair.mirror)
        #expect([.unreachable, .noAccess].contains(gone.state), "\(gone)")
    }

    /// What a merge leaves that was killed: the mark, git's lock, some files of the remote, one of them cut short.
    private func cut(_ pair: Pair) async throws -> String {
        try pair.write(String(repeating: "long\n", count: 1000), to: "long.txt", in: pair.there)
        try pair.write("added\n", to: "added.txt", in: pair.there)
        try await pair.push("three\n")
        let target = try await pair.head(pair.there)
        try await pair.place.run("fetch", "--quiet", "origin", in: pair.here)
        try await pair.place.run("update-ref", "refs/berth/sync", target, in: pair.here)
        try pair.write("", to: ".git/index.lock", in: pair.here)
        try pair.write("three\n", to: "README.md", in: pair.here)
        try pair.write("added\n", to: "added.txt", in: pair.here)
        try pair.write("long\nlon", to: "long.txt", in: pair.here)
        return target
    }

    @Test func `a move that was killed half-way is finished by the next look`() async throws {
        let pair = try await Pair()
        let target = try await cut(pair)
        let report = try await pair.sync()
        #expect(report.state == .current && report.taken == 1, "\(report)")
        #expect(try await pair.head(pair.here) == target)
        #expect(try await pair.place.run("status", "--porcelain", in: pair.here) == "")
        #expect(try await pair.place.run("for-each-ref", "refs/berth", in: pair.here) == "")
    }

    @Test func `work that was begun behind the kill is kept, and the move waits for it`() async throws {
        let pair = try await Pair()
        _ = try await cut(pair)
        let before = try await pair.head(pair.here)
        try pair.write("somebody's work\n", to: "README.md", in: pair.here)
        let report = try await pair.sync()
        #expect(report.state == .dirty || report.state == .failed, "\(report)")
        #expect(try await pair.head(pair.here) == before)
        #expect(try String(contentsOfFile: "\(pair.here)/README.md", encoding: .utf8) == "somebody's work\n")
    }

    @Test(.timeLimit(.minutes(2))) func `killed at any moment, the next look has everything`() async throws {
        let pair = try await Pair()
        for number in 0..<200 { try pair.write("file \(number)\n", to: "f\(number).txt", in: pair.there) }
        try await pair.push("many\n")
        _ = try await pair.sync()
        let randomness = SeededRandomness(seed: 7)
        for round in 0..<12 {
            for number in 0..<200 { try pair.write("round \(round) \(number)\n", to: "f\(number).txt", in: pair.there) }
            try await pair.push("round \(round)\n")
            let target = try await pair.head(pair.there)
            try await pair.place.run("fetch", "--quiet", "origin", in: pair.here)
            try await pair.place.run("update-ref", "refs/berth/sync", target, in: pair.here)
            let merge = try ChildProcess(
                ["git", "-C", pair.here, "merge", "--ff-only", "--quiet", target],
                environment: ChildProcess.plainEnvironment
            )
            try await pair.place.loop.time.wait(for: .microseconds(Int64(randomness.next() % 6000)))
            merge.signal(SIGKILL)
            _ = try await merge.exit()
            let report = try await pair.sync()
            #expect(report.state == .current, "round \(round): \(report)")
            #expect(try await pair.head(pair.here) == target)
            #expect(try await pair.place.run("status", "--porcelain", in: pair.here) == "")
        }
    }
}
