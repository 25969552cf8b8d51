import Base
import Domain
import Testing

@Suite struct WorkspaceConfigurationTests {
    @Test func `a whole file in JSON5 is read`() throws {
        let text = """
            // For people.
            {
                $schema: "https://example.org/berth.schema.json",
                scripts: { setup: 'npm ci', run: "npm run dev -- --port {port}", teardown: "rm -rf tmp", },
                environment: { STAGE: "dev" }, /* no secrets */
                ports: [3000, 0x1F90],
            }
            """
        let configuration = try WorkspaceConfiguration(parsing: text)
        #expect(configuration.scripts.setup == "npm ci")
        #expect(configuration.scripts.run == "npm run dev -- --port {port}")
        #expect(configuration.scripts.teardown == "rm -rf tmp")
        #expect(configuration.environment == ["STAGE": "dev"])
        #expect(configuration.ports == [3000, 8080])
    }

    @Test(arguments: [
        ("{\n  scripts: {\n    setpu: 'x'\n  }\n}", ErrorCode.unknownField, "line 3", "scripts.setpu"),
        ("{\n  ports: [80,\n   'x']\n}", .invalidValue, "line 3", "ports[1]"),
        ("{\n  ports: [70000]\n}", .invalidValue, "line 2", "ports[0]"),
        ("{\n\n  environment: { '1A': 'x' }\n}", .invalidValue, "line 3", "environment.1A"),
        ("{\n  scripts: { setup: 5 }\n}", .invalidValue, "line 2", "scripts.setup"),
        ("[]", .invalidValue, "line 1", "berth.json"),
        ("{\n  scripts: {\n", .invalidJSON, "line 3", "berth.json"),
        ("{\n a: 1,\n a: 2 }", .invalidJSON, "line 3", "berth.json"),
        ("{ 'a\n': 1 }", .invalidJSON, "line 1", "berth.json"),
        ("{}\n}", .invalidJSON, "line 2", "berth.json"),
    ])
    func `a mistake is told with its key and line`(text: String, code: ErrorCode, line: String, field: String) {
        let error = #expect(throws: BerthError.self) { try WorkspaceConfiguration(parsing: text) }
        #expect(error?.code == code)
        #expect(error?.message.contains(line) == true, "\(error?.message ?? "")")
        #expect(error?.field == field)
    }

    @Test func `nesting without end is refused`() {
        let text = String(repeating: "[", count: 10_000)
        #expect(throws: BerthError.self) { try WorkspaceConfiguration(parsing: text) }
    }

    @Test(arguments: [
        ("factory-factory.json", #"{"scripts":{"setup":"a","run":"b","cleanup":"c"}}"#, "a", "b", "c"),
        ("conductor.json", #"{"scripts":{"setup":"a","run":"b","archive":"c"}}"#, "a", "b", "c"),
        (
            ".cursor/environment.json",
            #"{"install":"a","terminals":[{"name":"x","command":"b"}],"ports":[{"port":1}]}"#,
            "a", "b", nil
        ),
        (
            ".devcontainer/devcontainer.json",
            #"{"postCreateCommand":["npm","run","it's"],"postStartCommand":{"one":"b"},"forwardPorts":[1]}"#,
            #"'npm' 'run' 'it'\''s'"#, "b", nil
        ),
        ("package.json", #"{"packageManager":"pnpm@9","scripts":{"dev":"x"}}"#, "pnpm install", "pnpm run dev", nil),
    ])
    func `files of other tools are understood`(
        file: String,
        text: String,
        setup: String?,
        run: String?,
        teardown: String?
    ) throws {
        let found = try #require(try ConfigurationImport(file: file, text: text))
        #expect(found.configuration.scripts == .init(setup: setup, run: run, teardown: teardown))
        #expect(found.isHint == (file == "package.json"))
    }

    @Test func `its own file wins, then the first that says something, and a hint never`() throws {
        let conductor = #"{"scripts":{"setup":"from conductor"}}"#
        let package = #"{"scripts":{"dev":"x"}}"#
        let own = try ConfigurationImport.choose(["berth.json": "{}", "conductor.json": conductor])
        #expect(own.from == "berth.json")
        #expect(own.0.isEmpty)
        let other = try ConfigurationImport.choose(["package.json": package, "conductor.json": conductor])
        #expect(other.from == "conductor.json")
        #expect(other.0.scripts.setup == "from conductor")
        #expect(try ConfigurationImport.choose(["package.json": package]).from == nil)
        // A broken file of another tool is no obstacle.
        #expect(try ConfigurationImport.choose(["conductor.json": "{"]).from == nil)
    }
}

@Suite struct IssueURLTests {
    @Test func `an issue is known by its URL`() throws {
        let issue = try IssueURL("https://GitHub.com/me/App.git/issues/17#issuecomment-1")
        #expect(issue.description == "https://github.com/me/App/issues/17")
        #expect(issue.repositoryURL == "https://github.com/me/App")
        #expect(issue.branch(title: "Fix: the Login page!") == "berth/issue-17-fix-the-login-page")
        #expect(issue.branch(title: nil) == "berth/issue-17")
        #expect(try BranchName(issue.branch(title: "…")).text == "berth/issue-17")
    }

    @Test(arguments: [
        "https://github.com/me/app/pull/7", "https://github.com/me/app/issues/", "https://github.com/me/app/issues/0",
        "https://github.com/me/app/issues/7?x=1", "http://github.com/me/app/issues/7", "https://me/app/issues/7",
        "https://user@github.com/me/app/issues/7", "https://github.com/me/../issues/7",
        "https://github.com/-x/app/issues/7",
        "https://github.com/me/app/issues/7/x", "https://github.com/me/app/issues/99999999999", "",
    ])
    func `anything else is refused`(text: String) {
        let error = #expect(throws: BerthError.self) { try IssueURL(text) }
        #expect(error?.code == .invalidValue)
        #expect(error?.field == "issueUrl")
    }
}

@Suite struct SyncPlanTests {
    private func plan(
        current: String? = "main",
        operation: String? = nil,
        remote: String? = "b",
        ahead: Int = 0,
        behind: Int = 0
    ) -> SyncPlan {
        SyncPlan(
            branch: "main",
            current: current,
            operation: operation,
            head: "a",
            remote: remote,
            ahead: ahead,
            behind: behind
        )
    }

    private func state(_ plan: SyncPlan) -> SyncState? {
        if case .report(let report) = plan { report.state } else { nil }
    }

    @Test func `a branch moves only where it is behind and nothing else`() {
        #expect(plan(behind: 3) == .fastForward(behind: 3))
        #expect(state(plan()) == .current)
        #expect(state(plan(ahead: 2)) == .ahead)
        #expect(state(plan(remote: nil, ahead: 2)) == .unpublished)
        #expect(state(plan(ahead: 1, behind: 1)) == .diverged)
        #expect(state(plan(current: "other", behind: 1)) == .elsewhere)
        #expect(state(plan(current: nil, behind: 1)) == .elsewhere)
        #expect(state(plan(operation: "rebase", behind: 1)) == .busy)
        // With nothing to take nothing is in the way.
        #expect(state(plan(operation: "rebase")) == .current)
    }

    @Test func `whatever needs attention says why and what to do`() {
        for plan in [
            plan(ahead: 1, behind: 1), plan(current: "other", behind: 1), plan(operation: "merge", behind: 1),
        ] {
            guard case .report(let report) = plan else {
                Issue.record("no report")
                continue
            }
            #expect(report.state.needsAttention)
            #expect(report.message != nil && report.remedy != nil)
        }
    }
}
