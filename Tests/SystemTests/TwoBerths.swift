import Base
import Domain
import FoundationEssentials
import Glibc
import Synchronization
import TestSupport

/// Two servers on one machine, one a desktop, one a cloud, and what a person does with both.
final class TwoBerths: Sendable {
    let desktop: Installation
    let cloud: Installation
    let git: ScriptedPeer
    let folder: TemporaryDirectory
    let provider: String
    /// Loopback ports that environments may reach, besides the repository's.
    let ports: [Int]
    /// Servers that were started again.
    private let restarted = Mutex<[ChildProcess]>([])

    var repository: String { "http://127.0.0.1:\(git.port)/app.git" }

    static func with(
        provider: String = "local",
        ports: [Int] = [],
        cloud: Installation? = nil,
        _ body: (TwoBerths, _ desktop: ChildProcess, _ cloud: ChildProcess) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory("two-berths")
        let git = try await Self.repository(in: folder)
        let home = folder.file("home")
        func installation(_ mode: String) throws -> Installation {
            try Installation(
                variables: ["BERTH_MODE": mode, "XDG_CONFIG_HOME": home],
                directory: TemporaryDirectory("berth-\(mode)")
            )
        }
        let both = TwoBerths(
            try installation("desktop"),
            try cloud ?? installation("cloud"),
            git,
            folder,
            provider: provider,
            ports: ports
        )
        try await withServer(both.desktop) { _, desktop in
            try await withServer(both.cloud) { _, cloud in
                do {
                    try await body(both, desktop, cloud)
                } catch {
                    await both.endRestarted()
                    throw error
                }
                await both.endRestarted()
            }
        }
    }

    private init(
        _ desktop: Installation,
        _ cloud: Installation,
        _ git: ScriptedPeer,
        _ folder: TemporaryDirectory,
        provider: String,
        ports: [Int]
    ) {
        (self.desktop, self.cloud, self.git, self.folder) = (desktop, cloud, git, folder)
        (self.provider, self.ports) = (provider, ports)
    }

    /// Ends with the test.
    func keep(_ server: ChildProcess) { restarted.withLock { $0.append(server) } }

    /// What they made is destroyed by servers that are started for that.
    private func endRestarted() async {
        for server in restarted.withLock({ $0 }) {
            server.signal(15)
            _ = try? await server.exit(within: .seconds(20))
        }
    }

    private static func repository(in folder: TemporaryDirectory) async throws -> ScriptedPeer {
        let origin = folder.file("repositories/app.git")
        try folder.write("def add(a, b):\n    return a - b\n", to: "seed/app.py")
        try folder.write("*.log\nbuild/\n", to: "seed/.gitignore")
        let seed = folder.file("seed")
        try await check(["git", "init", "-q", "-b", "main"], directory: seed)
        try await check(["git", "add", "."], directory: seed)
        try await check(
            ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "seed"],
            directory: seed
        )
        try await check(["git", "clone", "-q", "--bare", seed, origin])
        return try await ScriptedPeer("git_http_server.py", [folder.file("repositories")])
    }

    private var placement: [String] {
        ["--provider", provider] + ([git.port] + ports).flatMap { ["--host-port", "\($0)"] }
    }

    /// A workspace in the personal environment of the desktop, and that of the cloud, made.
    /// - Returns: the workspace as the desktop has it.
    func begin(_ run: [String] = []) async throws -> JSONValue {
        for berth in [desktop, cloud] {
            let made = try await berth.run(["exec"] + placement + ["--", "true"])
            guard made.status == 0 else { throw UnexpectedStatus(arguments: ["exec"], result: made) }
        }
        if run.isEmpty {
            try await checkOut()
        } else {
            let result = try await desktop.run(run, within: .seconds(300))
            guard result.status == 0 else { throw UnexpectedStatus(arguments: run, result: result) }
        }
        let page = try await desktop.json("ws", "ls")
        guard let workspace = page["items"]?.array?.first else { throw SystemFailure("no workspace", 2) }
        return workspace
    }

    /// A run that does nothing, in a checkout of the repository.
    private func checkOut() async throws {
        let url = try Self.url(of: desktop)
        let key = try String(contentsOfFile: desktop.data + "/api-key", encoding: .utf8).trimmed
        let made = try await check([
            "curl", "-sf", "-H", "authorization: Bearer \(key)", "-H", "content-type: application/json",
            "-d", #"{"command":["true"],"repository":{"url":"\#(repository)"}}"#, url + "/v1/executions",
        ])
        guard let id = try JSONDecoder().decode(JSONValue.self, from: Data(made.utf8))["id"]?.string else {
            throw SystemFailure("POST /v1/executions", 2)
        }
        let result = try await desktop.berth("logs", "-f", id)
        guard result.status == 0 else { throw UnexpectedStatus(arguments: ["logs", id], result: result) }
    }

    /// Logs each in to the other; the desktop's way to the cloud may lead through something.
    func logIn(cloudPort: Int? = nil) async throws {
        for (berth, other, name) in [(desktop, cloud, "cloud"), (cloud, desktop, "desktop")] {
            var url = try Self.url(of: other)
            if name == "cloud", let cloudPort { url = "http://127.0.0.1:\(cloudPort)" }
            let key = try String(contentsOfFile: other.seen("api-key"), encoding: .utf8)
            let result = try await berth.berth("login", url, "--name", name, "--token-stdin", input: key)
            guard result.status == 0 else { throw UnexpectedStatus(arguments: ["login"], result: result) }
        }
    }

    static func url(of berth: Installation) throws -> String {
        let note = try String(contentsOfFile: berth.seen("server.json"), encoding: .utf8)
        guard let url = try JSONDecoder().decode(JSONValue.self, from: Data(note.utf8))["url"]?.string else {
            throw SystemFailure("server.json", 2)
        }
        return url
    }

    static func port(of berth: Installation) throws -> Int {
        Int(try url(of: berth).split(separator: ":").last ?? "") ?? 0
    }

    /// A shell script in the checkout, as the environment's user.
    func shell(_ berth: Installation, _ checkout: String, _ script: String, _ variables: String...) async throws
        -> String
    {
        let result = try await berth.run(
            ["exec"] + variables.flatMap { ["--env", $0] } + ["--", "sh", "-c", "cd \"$0\" && \(script)", checkout],
            within: .seconds(300)
        )
        guard result.status == 0 else { throw UnexpectedStatus(arguments: [script], result: result) }
        return result.output
    }

    /// Where a workspace's checkout lies in its environment.
    func checkout(_ berth: Installation, like name: String = "app-*") async throws -> String {
        let found = try await berth.berth("exec", "--", "sh", "-c", "ls -d /workspace/\(name) | head -1")
        return found.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    /// Every kind of thing that can be lost.
    static let dirty = """
        git config user.name t && git config user.email t@localhost && git checkout -qb half-done \
        && echo stash > app.py && echo more > stashed.txt && git stash push -q -u -m first \
        && echo half > half.txt && git add half.txt && git commit -qm half \
        && echo staged >> app.py && git add app.py && echo unstaged >> app.py \
        && mkdir -p 'new dir' && echo untracked > 'new dir/file' && ln -s nowhere link && chmod 755 app.py \
        && mkdir -p build && echo out > build/out.log
        """

    /// Files, index, stashes, branches, as text; ignored files left out.
    static let portrait = """
        git status --porcelain=v2 --branch --untracked-files=all && git ls-files -s -v && git diff && git diff --cached \
        && git stash list && git stash show -p -u stash@{0} && git for-each-ref && git log --all --oneline \
        && git ls-files -co --exclude-standard -z | xargs -0 ls -ld --time-style=+ | sed 's/^\\(..........\\) .* \\./\\1 ./' | cut -c1-200 \
        && git ls-files -co --exclude-standard -z | xargs -0 sh -c 'for f; do [ -L "$f" ] && readlink "$f" || sha256sum "$f"; done' sh
        """

    /// The newest hand-over, as a server has it; nil before the first.
    func handOver(_ berth: Installation) async throws -> JSONValue? {
        try await berth.json("ws", "hand-overs")["items"]?.array?.first
    }

    /// Of the newest hand-over on both sides, by the servers' own rows, whatever lives.
    /// - Parameter behind: how many each side had before.
    func states(behind earlier: Int, isSourceDesktop: Bool) async throws -> HandOverStop.States {
        func state(_ berth: Installation) async throws -> HandOverState? {
            let rows = try await check([
                "python3", "-c",
                "import sqlite3,sys; print(*[r[0] for r in sqlite3.connect(f'file:{sys.argv[1]}?mode=ro',uri=True)"
                    + ".execute('SELECT state FROM hand_overs ORDER BY id')])",
                berth.data + "/berth.sqlite",
            ])
            let states = rows.trimmed.split(separator: " ").compactMap { HandOverState(rawValue: String($0)) }
            return states.count > earlier ? states.last : nil
        }
        let (here, there) = (try await state(desktop), try await state(cloud))
        return HandOverStop.States(
            source: isSourceDesktop ? here : there,
            destination: isSourceDesktop ? there : here
        )
    }

    /// By the servers' own rows: both databases are asked, whatever lives.
    func owners() async throws -> [String] {
        var owners: [String] = []
        for (berth, name) in [(desktop, "desktop"), (cloud, "cloud")] {
            let rows = try await check([
                "python3", "-c",
                "import sqlite3,sys; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro',uri=True).execute("
                    + "\"SELECT COUNT(*) FROM workspaces WHERE deleted_at IS NULL AND custody IN ('owned','frozen')\""
                    + ").fetchone()[0])",
                berth.data + "/berth.sqlite",
            ])
            if rows.trimmed != "0" { owners.append(name) }
        }
        return owners
    }

    /// Asks again until it is so; fails after a minute.
    static func waiting(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<3000 {
            if try await condition() { return }
            _ = try await TestSupport.run(["python3", "-c", "import select; select.select([], [], [], 0.02)"])
        }
        throw SystemFailure("nothing came of it", 110)
    }
}
