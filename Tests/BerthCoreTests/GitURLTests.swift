import Base
import BerthCore
import Testing

@Suite struct GitURLTests {
    @Test(arguments: [
        "https://github.com/a/b.git", "http://127.0.0.1:8080/x", "ssh://git@host:2222/a/b", "git@github.com:a/b.git",
        "/srv/git/project.git", "ssh://host/path",
    ])
    func `the forms that git takes are taken`(text: String) throws { #expect(try GitURL(text).text == text) }

    @Test(arguments: [
        "", "https://token@github.com/a/b", "https://user:pass@github.com/a", "ssh://git:pass@host/a", "ext::sh -c id",
        "file:///etc", "-oProxyCommand=id", "git@-oProxyCommand=id:x", "ssh://-oProxyCommand=id/x", "relative/path",
        "https:///path", "https://host/a b", "https://host/\u{1}", "host:path",
    ])
    func `what carries a credential or an option is refused`(text: String) {
        let error = #expect(throws: BerthError.self) { try GitURL(text) }
        #expect(error?.code == .invalidValue)
    }

    @Test func `credentials are asked for by host and port`() throws {
        let target = try #require(try GitURL("https://Git.Example.org:8443/x").credentialTarget)
        #expect(target.scheme == "https" && target.host == "git.example.org:8443")
        #expect(try GitURL("git@github.com:a/b").credentialTarget == nil)
    }
}
