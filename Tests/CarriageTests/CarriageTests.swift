import Base
import Carriage
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// A checkout packed on one machine and made again on another.
@Suite struct CarriageTests {
    @Test(arguments: ["nothing", "mirror", "twin"])
    func `a dirty checkout arrives with every file, index entry, stash and branch`(_ what: String) async throws {
        let sides = try Checkouts()
        try await sides.begin()
        try await sides.makeDirty("a")
        var known: [String] = []
        if what != "nothing" { known = [try await sides.git(sides.origin, "rev-parse", "main")] }
        var twin: String?
        if what == "twin" {
            twin = sides.root("b") + "/other"
            try await check(["git", "clone", "-q", sides.origin, twin ?? ""])
        }
        let (file, summary) = try sides.pack("a", known: known)
        #expect(summary.branch == "feature")
        #expect(summary.stashes == 2)
        #expect(summary.leftBehind == ["build/"])
        let order = sides.order("b", file, mirror: what == "mirror" ? sides.origin : nil, twin: twin)
        _ = try Restorer.restore(order)
        #expect(access(sides.checkout("b"), F_OK) != 0, "nothing is in its place before the decision")
        try Settler.settle(order)
        let before = try await sides.portrait("a").replacing("build/out.log", with: "")
        let after = try await sides.portrait("b")
        let left = before.split(separator: "\n").filter { !after.contains($0) && !$0.hasPrefix(". ") }
        #expect(left.filter { !$0.hasPrefix("./ ") && !$0.hasSuffix("  ./") }.isEmpty, "\(left)\n\(after)")
        try await sides.git(sides.checkout("b"), "fsck", "--strict")
    }

    @Test func `only what the other side lacks is packed`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        let bytes = (0..<300_000).map { _ in UInt8.random(in: 0...255) }
        try Data(bytes).write(to: URL(filePath: sides.checkout("a") + "/large"))
        try await sides.git(sides.checkout("a"), "add", "large")
        try await sides.git(sides.checkout("a"), "commit", "-qm", "large")
        try await sides.git(sides.checkout("a"), "push", "-q", "origin", "HEAD")
        let all = try sides.pack("a").summary
        let tip = try await sides.git(sides.origin, "rev-parse", "main")
        let (file, less) = try sides.pack("a", known: [tip, String(repeating: "1", count: 40)])
        #expect(all.packBytes > 300_000)
        #expect(less.packBytes < 1000)
        _ = try Restorer.restore(sides.order("b", file, mirror: sides.origin))
    }

    @Test func `a merge that stopped at a conflict goes on elsewhere`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        let place = sides.checkout("a")
        for (branch, text) in [("left", "left\n"), ("right", "right\n")] {
            try await sides.git(place, "checkout", "-q", "-b", branch, "main")
            try sides.write(text, "a", "code.txt")
            try await sides.git(place, "commit", "-qam", branch)
        }
        _ = try? await sides.git(place, "merge", "left")
        let (file, _) = try sides.pack("a")
        let order = sides.order("b", file)
        _ = try Restorer.restore(order)
        try Settler.settle(order)
        let there = sides.checkout("b")
        #expect(try await sides.git(there, "ls-files", "-u") == sides.git(place, "ls-files", "-u"))
        try sides.write("both\n", "b", "code.txt")
        try await sides.git(there, "add", "code.txt")
        try await sides.git(there, "commit", "-q", "--no-edit")
        #expect(try await sides.git(there, "rev-list", "--parents", "-n1", "HEAD").split(separator: " ").count == 3)
    }

    @Test func `an agent's memory finds its project under the new path and comes back as it was`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        func transcript(_ side: String) -> String {
            let name = String(sides.checkout(side).map { $0.isLetter || $0.isNumber ? $0 : "-" })
            return "\(side)/home/.claude/projects/\(name)/11111111-aaaa.jsonl"
        }
        let here = sides.checkout("a")
        let text = #"{"cwd":"\#(here)","file":"\#(here)/code.txt","other":"\#(here)-2/x"}"# + "\n"
        try sides.folder.write(text, to: transcript("a"))
        let (file, summary) = try sides.pack("a")
        #expect(summary.transcripts == 1)
        let order = sides.order("b", file)
        _ = try Restorer.restore(order)
        #expect(access(sides.folder.file(transcript("b")), F_OK) != 0)
        try Settler.settle(order)
        let there = try String(contentsOfFile: sides.folder.file(transcript("b")), encoding: .utf8)
        let new = sides.checkout("b")
        #expect(there == #"{"cwd":"\#(new)","file":"\#(new)/code.txt","other":"\#(here)-2/x"}"# + "\n")

        let back = try sides.pack("b").file
        let wayBack = sides.order("a", back, token: "ho_2", twin: here)
        _ = try Restorer.restore(wayBack)
        try Settler.settle(wayBack)
        #expect(try String(contentsOfFile: sides.folder.file(transcript("a")), encoding: .utf8) == text)
        #expect(access(wayBack.earlier + "/.git", F_OK) == 0, "the version before is kept")
        try Settler.settle(wayBack)
        try Settler.removeEarlier(wayBack)
        #expect(access(wayBack.earlier, F_OK) != 0)
    }

    @Test func `ignored files travel when asked for, within the limit, which is told with the largest`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        try sides.write("out\n", "a", "build/out.bin")
        let (file, summary) = try sides.pack("a", includesIgnored: true)
        #expect(summary.leftBehind.isEmpty)
        let order = sides.order("b", file)
        _ = try Restorer.restore(order)
        try Settler.settle(order)
        #expect(try String(contentsOfFile: sides.checkout("b") + "/build/out.bin", encoding: .utf8) == "out\n")
        let refusal = #expect(throws: BerthError.self) { try sides.pack("a", includesIgnored: true, limit: 3) }
        #expect(refusal?.code == .tooLarge)
        #expect(refusal?.message.contains("build/ 4") == true, "\(String(describing: refusal))")
    }

    @Test func `a file of 10 GB is named and not packed, however little room it takes`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        try sides.write("", "a", "huge.bin")
        #expect(truncate(sides.checkout("a") + "/huge.bin", 10 << 30) == 0)
        let refusal = #expect(throws: BerthError.self) { try sides.pack("a") }
        #expect(refusal?.code == .tooLarge && refusal?.remedy != nil)
        #expect(refusal?.message.contains("huge.bin \(10 << 30)") == true, "\(String(describing: refusal))")
        var status = stat()
        #expect(stat(sides.folder.file("a.pack"), &status) == 0 && status.st_blocks < 1 << 15)
    }

    @Test func `a symbolic link that leads out travels as a link, and what it leads to stays unread`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        let secret = try sides.folder.write("secret-behind-a-link", to: "secret")
        symlink(secret, sides.checkout("a") + "/way-out")
        let file = try sides.pack("a").file
        #expect(try Data(contentsOf: URL(filePath: file)).firstRange(of: Data("secret-behind-a-link".utf8)) == nil)
        let order = sides.order("b", file)
        _ = try Restorer.restore(order)
        try Settler.settle(order)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: sides.checkout("b") + "/way-out") == secret)
    }

    @Test(arguments: ["../out", "/etc/x", ".git/config", "a/../../x"])
    func `a part that leads out of the checkout is refused, and nothing stays`(_ path: String) async throws {
        let sides = try Checkouts()
        try await sides.begin()
        let file = try sides.pack("a").file
        let bytes = try Data(contentsOf: URL(filePath: file))
        try bytes.dropLast(17).write(to: URL(filePath: file))
        let more = open(file, O_WRONLY | O_APPEND)
        try EntryWriter(more).put(.file, path: Array(path.utf8), Array("x".utf8))
        try EntryWriter(more).put(.end)
        close(more)
        let order = sides.order("b", file)
        let refusal = #expect(throws: BerthError.self) { try Restorer.restore(order) }
        #expect(refusal?.code == .protocolViolation)
        #expect(try FileManager.default.contentsOfDirectory(atPath: sides.root("b")).isEmpty)
    }

    @Test func `a piece that is cut off anywhere is refused`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        try await sides.makeDirty("a")
        let file = try sides.pack("a").file
        let bytes = try Data(contentsOf: URL(filePath: file))
        for count in stride(from: 0, to: bytes.count - 1, by: max(1, bytes.count / 12)) {
            try bytes.prefix(count).write(to: URL(filePath: file))
            #expect(throws: BerthError.self, "\(count) of \(bytes.count)") {
                try Restorer.restore(sides.order("b", file))
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: sides.root("b")).isEmpty)
    }

    @Test func `a loser's version is kept as a branch, with what was never committed`() async throws {
        let sides = try Checkouts()
        try await sides.begin()
        try await sides.makeDirty("a")
        let before = try await sides.portrait("a")
        let commit = try Settler.keepOrphan(
            checkout: sides.checkout("a"),
            home: sides.home("a"),
            programs: "/usr/bin:/bin",
            branch: "berth/orphan/1"
        )
        let files = try await sides.git(sides.checkout("a"), "ls-tree", "-r", "--name-only", "berth/orphan/1")
        #expect(files.contains("racked.txt") && files.contains("half.txt"))
        #expect(try await sides.git(sides.checkout("a"), "show", "berth/orphan/1:code.txt") == "ONE\ntwo\nTHREE")
        #expect(try await sides.git(sides.checkout("a"), "rev-parse", "berth/orphan/1") == commit)
        try await sides.git(sides.checkout("a"), "branch", "-D", "berth/orphan/1")
        #expect(try await sides.portrait("a") == before)
    }
}
