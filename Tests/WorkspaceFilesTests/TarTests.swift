import Base
import FoundationEssentials
import TestSupport
import Testing
import WorkspaceFiles

/// Archives of ours against tar(1), both ways, in pieces of any length.
@Suite struct TarTests {
    private static let long = String(repeating: "deep-directory/", count: 20) + "file with spaces and ü"

    @Test func `tar reads what is written`() async throws {
        let folder = try TemporaryDirectory("tar")
        let members: [(TarMember, [UInt8])] = [
            (TarMember(path: Array("d/".utf8), kind: .directory, size: 0, mode: 0o755, modifiedAt: 1), []),
            (TarMember(path: Array("d/a".utf8), kind: .file, size: 3, mode: 0o644, modifiedAt: 2), Array("abc".utf8)),
            (TarMember(path: Array(Self.long.utf8), kind: .file, size: 1, mode: 0o600, modifiedAt: 3), Array("x".utf8)),
            (
                TarMember(
                    path: Array("l".utf8),
                    kind: .symlink(target: Array(Self.long.utf8)),
                    size: 0,
                    mode: 0o777,
                    modifiedAt: 4
                ),
                []
            ),
        ]
        var bytes: [UInt8] = []
        for (member, content) in members {
            bytes += TarFormat.header(member) + content
            bytes += [UInt8](repeating: 0, count: TarFormat.padding(after: member.size))
        }
        bytes += TarFormat.trailer
        try Data(bytes).write(to: URL(filePath: folder.file("archive.tar")))
        let listed = try await check(["tar", "-tf", folder.file("archive.tar"), "--quoting-style=literal"])
        #expect(listed.split(separator: "\n").map(String.init) == ["d/", "d/a", Self.long, "l"])
        try await check(["tar", "-xf", folder.file("archive.tar"), "-C", folder.path])
        #expect(try await check(["cat", folder.file("d/a"), folder.file(Self.long)]) == "abcx")
        #expect(try await check(["readlink", folder.file("l")]).trimmed == Self.long)
        #expect(try read(bytes, piece: 100).map(\.0) == members.map(\.0))
    }

    @Test(arguments: ["gnu", "pax", "ustar", "v7"])
    func `what tar writes is read`(format: String) async throws {
        let folder = try TemporaryDirectory("tar")
        try await check(["mkdir", "-p", folder.file("in/sub")])
        try Data([UInt8](repeating: 7, count: 1000)).write(to: URL(filePath: folder.file("in/sub/data")))
        _ = try folder.write("", to: "in/empty")
        try await check(["ln", "-s", "sub/data", folder.file("in/link")])
        if format == "gnu" || format == "pax" {
            try await check(["mkdir", "-p", folder.file("in/" + String(repeating: "n", count: 200))])
        }
        try await check(["tar", "--format=\(format)", "-cf", folder.file("a.tar"), "-C", folder.file("in"), "."])
        let archive = [UInt8](try Data(contentsOf: URL(filePath: folder.file("a.tar"))))
        let expected = try read(archive, piece: archive.count)
        let names = Set(expected.map { String(decoding: $0.0.path, as: UTF8.self) })
        #expect(names.isSuperset(of: ["./", "./sub/data", "./empty", "./link"]))
        #expect(expected.first { $0.0.path == Array("./sub/data".utf8) }?.1 == [UInt8](repeating: 7, count: 1000))
        #expect(expected.contains { $0.0.kind == .symlink(target: Array("sub/data".utf8)) })
        for piece in [1, 7, 511, 513] {
            let again = try read(archive, piece: piece)
            #expect(again.map(\.0) == expected.map(\.0))
            #expect(again.map(\.1) == expected.map(\.1))
        }
    }

    @Test func `what is no archive is refused, and one that was cut off is known`() throws {
        var reader = TarReader()
        reader.append([UInt8](repeating: 0x41, count: 512))
        #expect(throws: BerthError.self) { try reader.next() }
        var whole = TarFormat.header(
            TarMember(path: Array("a".utf8), kind: .file, size: 600, mode: 0o644, modifiedAt: 0)
        )
        whole += [UInt8](repeating: 1, count: 600)
        var cut = TarReader()
        cut.append(whole)
        while try cut.next() != nil {}
        #expect(!cut.isWhole)
    }

    private func read(_ bytes: [UInt8], piece: Int) throws -> [(TarMember, [UInt8])] {
        var reader = TarReader()
        var found: [(TarMember, [UInt8])] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            reader.append(bytes[start..<min(start + piece, bytes.count)])
            while let event = try reader.next() {
                switch event {
                case .member(let member): found.append((member, []))
                case .content(let more): found[found.count - 1].1 += more
                case .memberEnd: break
                }
            }
        }
        #expect(reader.isWhole)
        return found
    }
}
