import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import WorkspaceCalls
import WorkspaceFiles
import WorkspaceTypes

/// What the file program does in a directory, through its own stream.
@Suite struct TreeTests {
    /// A checkout with a file, a directory, and symlinks inside, out, and in circles; beside it a secret.
    private func place() async throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("tree")
        try await check([
            "sh", "-ec",
            """
            mkdir -p "$1/work/src/deep" "$1/out"; cd "$1"
            echo secret >out/secret; echo hello >work/src/a; echo other >work/src/deep/b
            ln -s src/a work/inside; ln -s ../out/secret work/evil; ln -s "$1/out" work/away
            ln -s loop work/loop; ln -s "$1/work/src" work/absolute; ln -s ../../out work/src/up
            """, "sh", folder.path,
        ])
        return folder
    }

    @Test(arguments: [
        ("evil", "evil"), ("away/secret", "away"), ("src/up/secret", "src/up"), ("absolute/up/secret", "src/up"),
        ("../out/secret", ""), ("src/../../out/secret", ""), ("/etc/passwd", ""), ("src/deep/../../../out/secret", ""),
    ])
    func `nothing leads out, and the symlink that would is named`(path: String, link: String) async throws {
        let folder = try await place()
        for action: FileAction in [
            .read(path: path, offset: 0, length: nil), .list(path: path, depth: 1, limit: 10),
            .write(path: path, ifMatch: nil, isNew: false, mode: nil, makesParents: false),
            .download(path: path), .upload(path: path), .watch(path: path),
            .find(FileSearch(path: path, name: "secret", limit: 10)),
        ] {
            let answer = try FileTalk(folder.file("work")).ask(action, data: [Array("changed".utf8)])
            #expect(answer.error?.code == .invalidPath, "\(action)")
            #expect(answer.error?.message.contains("out of the workspace") == true, "\(action)")
            if !link.isEmpty { #expect(answer.error?.message.contains("'\(link)'") == true, "\(action)") }
        }
        #expect(try text(folder.file("out/secret")) == "secret\n")
    }

    @Test func `a path deeper than can be held open is refused, and nothing of it is made`() async throws {
        let folder = try await place()
        let talk = FileTalk(folder.file("work"))
        func write(_ depth: Int) throws -> FileTalk.Answer {
            let path = Array(repeating: "d", count: depth).joined(separator: "/")
            return try talk.ask(
                .write(path: path, ifMatch: nil, isNew: true, mode: nil, makesParents: true),
                data: [Array("x".utf8)]
            )
        }
        let refused = try write(2000)
        #expect(refused.error?.code == .invalidPath)
        #expect(refused.error?.message.contains("directories deep") == true)
        #expect(!FileManager.default.fileExists(atPath: folder.file("work/d")))
        #expect(try write(200).error == nil)
    }

    @Test func `symlinks within the workspace are followed, absolute ones too, and circles end`() async throws {
        let folder = try await place()
        let talk = FileTalk(folder.file("work"))
        for path in ["inside", "absolute/a", "src/deep/../a", "./src//a", folder.file("work/src/a")] {
            let answer = try talk.ask(.read(path: path, offset: 0, length: nil))
            #expect(String(decoding: answer.data, as: UTF8.self) == "hello\n", "\(path)")
        }
        #expect(try talk.ask(.read(path: "loop", offset: 0, length: nil)).error?.code == .invalidPath)
        let part = try talk.ask(.read(path: "src/a", offset: 1, length: 3))
        #expect(String(decoding: part.data, as: UTF8.self) == "ell")
        #expect(try talk.ask(.read(path: "src/none", offset: 0, length: nil)).error?.code == .notFound)
        #expect(try talk.ask(.read(path: "src", offset: 0, length: nil)).error?.code == .invalidPath)
    }

    @Test func `a file is replaced as a whole, under its conditions, and keeps its mode`() async throws {
        let folder = try await place()
        let talk = FileTalk(folder.file("work"))
        try await check(["chmod", "750", folder.file("work/src/a")])
        func write(_ path: String, match: String? = nil, isNew: Bool = false, _ text: String) throws -> FileTalk.Answer
        {
            try talk.ask(
                .write(path: path, ifMatch: match, isNew: isNew, mode: 0o600, makesParents: true),
                data: [Array(text.utf8)]
            )
        }
        let before: FileEntry = try talk.ask(.stat(path: "src/a")).value()
        let after: FileEntry = try write("src/a", match: before.etag, "first").value()
        #expect(after.mode == "750")
        #expect(after.etag != before.etag)
        let stale = try write("src/a", match: before.etag, "second")
        #expect(stale.error?.code == .conflict)
        #expect(try write("src/a", isNew: true, "third").error?.code == .conflict)
        #expect(try text(folder.file("work/src/a")) == "first")
        let new: FileEntry = try write("x/y/z", isNew: true, "new").value()
        #expect(new.mode == "600")
        // A stream that breaks off changes nothing and leaves nothing.
        let cut = try talk.ask(
            .write(path: "src/a", ifMatch: nil, isNew: false, mode: nil, makesParents: false),
            data: [Array("half".utf8)],
            isCut: true
        )
        #expect(cut.end == nil)
        #expect(try text(folder.file("work/src/a")) == "first")
        #expect(try await check(["find", folder.path, "-name", ".berth-*"]) == "")
    }

    @Test(.enabled(if: geteuid() == 0, "mounts a small file system"))
    func `a full disk leaves the old content, and says so`() async throws {
        let folder = try await place()
        try await check(["mkdir", folder.file("small")])
        #expect(mount("tmpfs", folder.file("small"), "tmpfs", 0, "size=256k") == 0)
        defer { umount2(folder.file("small"), 2) }
        let talk = FileTalk(folder.file("small"))
        let action = FileAction.write(path: "a", ifMatch: nil, isNew: false, mode: nil, makesParents: false)
        #expect(try talk.ask(action, data: [Array("old".utf8)]).error == nil)
        let piece = [UInt8](repeating: 1, count: 60_000)
        let full = try talk.ask(action, data: Array(repeating: piece, count: 10))
        #expect(full.error?.code == .diskFull)
        #expect(try text(folder.file("small/a")) == "old")
        #expect(try await check(["ls", "-A", folder.file("small")]) == "a")
    }

    @Test func `names are made, moved and removed, and the repository is not`() async throws {
        let folder = try await place()
        try await check(["mkdir", folder.file("work/.git")])
        let talk = FileTalk(folder.file("work"))
        let moved: FileEntry = try talk.ask(.move(from: "src/a", to: "src/deep", replaces: false)).value()
        #expect(moved.path == "src/deep/a")
        #expect(try talk.ask(.move(from: "src/deep/a", to: "src/deep/b", replaces: false)).error?.code == .conflict)
        let replaced: FileEntry = try talk.ask(.move(from: "src/deep/a", to: "src/deep/b", replaces: true)).value()
        #expect(replaced.path == "src/deep/b")
        #expect(try text(folder.file("work/src/deep/b")) == "hello\n")
        #expect(try talk.ask(.move(from: "src", to: "src/deep/x", replaces: false)).error?.code == .invalidPath)
        #expect(try talk.ask(.remove(path: "src", isRecursive: false)).error?.code == .conflict)
        // Symlinks go themselves; what they point to stays.
        let tally: FileTally = try talk.ask(.remove(path: "away", isRecursive: true)).value()
        #expect(tally == FileTally(symlinks: 1))
        #expect(try text(folder.file("out/secret")) == "secret\n")
        for path in [".git", "", "src/../.git"] {
            #expect(try talk.ask(.remove(path: path, isRecursive: true)).error?.code == .forbidden, "\(path)")
        }
        let gone: FileTally = try talk.ask(.remove(path: "src", isRecursive: true)).value()
        #expect(gone == FileTally(files: 1, directories: 2, symlinks: 1, bytes: 6))
    }

    @Test func `a tree comes back as it went, and an archive cannot write outside`() async throws {
        let folder = try await place()
        try await check([
            "sh", "-ec",
            """
            cd "$1/work"; chmod 755 src/a; mkdir empty; printf x >'odd name ü'; head -c 300000 /dev/urandom >big
            touch -d @1000000000 big; rm loop
            """, "sh", folder.path,
        ])
        let archive = try FileTalk(folder.file("work")).ask(.download(path: ""))
        try #require(archive.error == nil)
        try await check(["mkdir", folder.file("copy")])
        // In pieces that no boundary falls together with.
        let pieces = stride(from: 0, to: archive.data.count, by: 777).map {
            Array(archive.data[$0..<min($0 + 777, archive.data.count)])
        }
        let tally: FileTally = try FileTalk(folder.file("copy")).ask(.upload(path: "in"), data: pieces).value()
        #expect(tally.files == 4)
        let compared = try await run(["diff", "-r", "--no-dereference", folder.file("work"), folder.file("copy/in")])
        #expect(compared.status == 0, "\(compared.output)")
        let modes = [
            "sh", "-c", "cd \"$1\"; find . ! -type l ! -type d -printf '%p %m %T@\\n' | sed 's/\\.[0-9]*$//' | sort",
            "sh",
        ]
        #expect(try await check(modes + [folder.file("work")]) == check(modes + [folder.file("copy/in")]))

        for (path, link) in [("../escape", ""), ("/tmp/escape", ""), ("door/escape", "/tmp")] {
            var bytes: [UInt8] = []
            if !link.isEmpty {
                bytes += TarFormat.header(
                    TarMember(
                        path: Array("door".utf8),
                        kind: .symlink(target: Array(link.utf8)),
                        size: 0,
                        mode: 0o777,
                        modifiedAt: 0
                    )
                )
            }
            bytes += TarFormat.header(
                TarMember(path: Array(path.utf8), kind: .file, size: 0, mode: 0o644, modifiedAt: 0)
            )
            bytes += TarFormat.trailer
            let answer = try FileTalk(folder.file("copy")).ask(.upload(path: ""), data: [bytes])
            #expect(answer.error?.code == .invalidPath, "\(path)")
        }
        let cut = try FileTalk(folder.file("copy")).ask(.upload(path: "cut"), data: Array(pieces.prefix(20)))
        #expect(cut.error?.message.contains("ends in its middle") == true)
    }

    @Test func `a search knows what git ignores, and stops at its limit`() async throws {
        let folder = try await place()
        try await check([
            "sh", "-ec",
            """
            cd "$1/work"; git init -q .; echo build >.gitignore; mkdir build; echo hello >build/c
            printf 'one\\nsay Hello there\\n' >src/d.txt; git add src/a; for i in $(seq 30); do echo hello >n$i.md; done
            """, "sh", folder.path,
        ])
        let talk = FileTalk(folder.file("work"))
        func find(_ search: FileSearch) throws -> FileMatches { try talk.ask(.find(search)).value() }
        let lines = try find(FileSearch(path: "src", text: "hello", ignoresCase: true, limit: 100))
        #expect(lines.items.map(\.path) == ["src/a", "src/d.txt"])
        #expect(lines.items.last?.line == 2)
        #expect(lines.items.last?.column == 5)
        #expect(lines.items.last?.text == "say Hello there")
        #expect(try find(FileSearch(path: "", name: "build", text: "hello", limit: 100)).items.isEmpty)
        let ignored = try find(FileSearch(path: "", name: "build/*", includesIgnored: true, limit: 100))
        #expect(ignored.items.map(\.path) == ["build/c"])
        #expect(try find(FileSearch(path: "", name: "*.txt", limit: 100)).items.map(\.path) == ["src/d.txt"])
        // What git would take into memory as a whole is left out.
        let huge = folder.file("work/src/huge")
        try await check(["sh", "-c", "echo hello >\"$0\"; truncate -s 10G \"$0\"", huge])
        let small = try find(FileSearch(path: "src", text: "hello", ignoresCase: true, limit: 100))
        #expect(small.items.map(\.path) == ["src/a", "src/d.txt"])
        #expect(try find(FileSearch(path: "src", name: "huge", limit: 100)).items.map(\.path) == ["src/huge"])
        try await check(["rm", huge])
        let few = try find(FileSearch(path: "", text: "hello", limit: 10))
        #expect(few.items.count == 10)
        #expect(few.isTruncated)
        let pattern = try talk.ask(.find(FileSearch(path: "", text: "(", isPattern: true, limit: 10)))
        #expect(pattern.error?.code == .invalidValue)
    }

    @Test func `changes are told once each, in new directories too`() async throws {
        let folder = try await place()
        let talk = FileTalk(folder.file("work"))
        let stream = try talk.open(.watch(path: ""))
        #expect(try stream.changes() == [])
        try await check([
            "sh", "-ec",
            "cd \"$1/work\"; for i in 1 2 3 4 5; do echo $i >>src/a; done; mkdir -p new/deeper; echo x >new/deeper/f; rm src/deep/b",
            "sh", folder.path,
        ])
        var seen: [FileChange] = []
        let wanted = [
            FileChange(path: "src/a", kind: .changed), FileChange(path: "new", kind: .created),
            FileChange(path: "new/deeper", kind: .created), FileChange(path: "new/deeper/f", kind: .created),
            FileChange(path: "src/deep/b", kind: .removed),
        ]
        while !wanted.allSatisfy(seen.contains) { seen += try stream.changes() }
        try await check(["sh", "-ec", "cd \"$1/work/new/deeper\"; echo y >g", "sh", folder.path])
        while !seen.contains(FileChange(path: "new/deeper/g", kind: .created)) { seen += try stream.changes() }
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
}
