import Base
import Domain
import Testing

@Suite struct BranchNameTests {
    @Test(arguments: ["main", "berth/fix-1", "feature/ünïcode", "a.b", "x@y", "v1.0-rc_2"])
    func `names that git takes are taken`(_ name: String) throws {
        #expect(try BranchName(name).text == name)
    }

    @Test(arguments: [
        "", "-x", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.",
        "a.lock", "a.lock/b", "@", "a@{b", "a\u{7f}", "a\u{1}", "HEAD", String(repeating: "x", count: 241),
        "-\u{301}x", "a..\u{301}b", "a/\u{301}", "a\u{601}//b", "a\u{601}..b",
    ])
    func `names that git refuses are refused with the field and the way out`(_ name: String) {
        let error = #expect(throws: BerthError.self) { try BranchName(name) }
        #expect(error?.code == .invalidValue)
        #expect(error?.field == "branch")
        #expect(error?.remedy != nil)
    }

    @Test(arguments: ["Fix the login page!", "", "日本語", "../../etc", String(repeating: "long ", count: 50)])
    func `a task always gives a valid name of its own`(_ task: String) throws {
        let id: WorkspaceID = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 1)).make()
        let name = BranchName(task: task, workspace: id)
        #expect(try BranchName(name.text) == name)
        #expect(name.text.hasPrefix("berth/"))
        #expect(name.text.hasSuffix("-" + id.text.suffix(6)))
    }
}

@Suite struct RepositoryURLTests {
    @Test(arguments: [
        ("https://GitHub.com/a/b.git", "https://github.com/a/b.git", "b"),
        ("HTTPS://host:8443/a/b/", "https://host:8443/a/b", "b"),
        ("ssh://git@Host/a/b.git", "ssh://git@host/a/b.git", "b"),
        ("git@GitHub.com:a/b.git", "git@github.com:a/b.git", "b"),
        ("/srv/git/b.git/", "/srv/git/b.git", "b"),
        ("file:///srv/git/b", "/srv/git/b", "b"),
        ("http://127.0.0.1:9000/r.git", "http://127.0.0.1:9000/r.git", "r"),
    ])
    func `one repository has one form`(_ input: String, _ text: String, _ name: String) throws {
        let url = try RepositoryURL(input)
        #expect(url.text == text)
        #expect(url.name == name)
        #expect(try RepositoryURL(url.text) == url)
    }

    @Test(arguments: [
        "https://user:hunter2@host/a", "https://hunter2@host/a", "ssh://git:hunter2@host/a", "user:hunter2@host:a/b",
    ])
    func `a login in the URL is refused without repeating it`(_ input: String) {
        let error = #expect(throws: BerthError.self) { try RepositoryURL(input) }
        #expect(error?.description.contains("hunter2") == false)
        #expect(error?.remedy?.contains("gitCredentials") == true)
    }

    @Test(arguments: [
        "", "relative/path", "--upload-pack=x", "ext::sh -c x", "ftp://h/a", "https://", "https://host", "https:///a",
        "https://h/a b", "host:", "https://h/a?x=1", "ssh://-oProxyCommand=x/a", "-h:x",
        "-\u{301}x:y", "ssh://-\u{301}oProxyCommand=x/a", "/srv/\u{301}a", "host:/", "https://host//", "LOCAL:a b/c",
        "Local:../c",
    ])
    func `what git could misread is refused`(_ input: String) {
        #expect(throws: BerthError.self) { try RepositoryURL(input) }
    }
}

@Suite struct WorkspaceMachineTests {
    @Test func `a workspace goes from new to ready and can run again`() throws {
        var machine = WorkspaceMachine()
        try machine.provision()
        try machine.ready()
        try machine.provision()
        try machine.fail(FailureReason(.repositoryUnreachable, "no route"))
        try machine.provision()
        try machine.ready()
        try machine.archive()
        #expect(throws: BerthError.self) { try machine.provision() }
        #expect(throws: BerthError.self) { try machine.archive() }
        #expect(machine.state == .archived)
    }

    @Test(arguments: [WorkspaceMachine.Status.new, .failed(FailureReason(.network, "x")), .archived])
    func `only what is being checked out becomes ready`(_ status: WorkspaceMachine.Status) {
        var machine = WorkspaceMachine(status)
        #expect(throws: BerthError.self) { try machine.ready() }
        #expect(machine.status == status)
    }
}
