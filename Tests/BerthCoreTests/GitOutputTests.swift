import BerthCore
import Testing
import WorkspaceTypes

/// The readers of git's output never fail and never invent: bytes of any kind.
@Suite struct GitOutputTests {
    @Test func `a conflict and a submodule are read, and what is unknown is passed over`() {
        let text =
            "# branch.oid (initial)\0# branch.head (detached)\0# branch.ab +3 -2\0# stash 4\0# other x\0"
            + "u UU N... 100644 100644 100644 100644 aa bb cc with space\0"
            + "1 .M S..U 160000 160000 160000 aa bb sub\0! ignored\0x nonsense\0"
        let status = GitOutput.status(Array(text.utf8))
        #expect(status.head == nil)
        #expect(status.branch == nil)
        #expect((status.ahead, status.behind, status.stashes) == (3, 2, 4))
        #expect(status.changes.map(\.path) == ["with space", "sub"])
        #expect(status.conflicts == ["with space"])
    }

    @Test func `a list is cut at its limit, conflicts are not`() {
        let text = "? a\0? b\0? c\0u UU N... 1 1 1 1 a b c d\0"
        let status = GitOutput.status(Array(text.utf8), limit: 2)
        #expect(status.changes.map(\.path) == ["a", "b", "d"])
        #expect(status.isTruncated)
    }

    @Test(arguments: [0, 1, 2, 3, 5, 8, 13, 21, 34])
    func `cut output is read as far as it goes`(length: Int) {
        let status = Array("2 R. N... 100644 100644 100644 aa bb R100 new\0old\0? x".utf8)
        _ = GitOutput.status(Array(status.prefix(length)))
        let diff = Array(":100644 100644 aa bb R090\0old\0new\u{0}1\t2\t\0old\0new\0".utf8)
        _ = GitOutput.files(Array(diff.prefix(length)))
        _ = GitOutput.patches(Array("diff --git a b\n+x\ndiff --git".utf8.prefix(length)))
        _ = GitOutput.commits(Array("a\u{1f}b\u{1f}c".utf8.prefix(length)))
    }
}
