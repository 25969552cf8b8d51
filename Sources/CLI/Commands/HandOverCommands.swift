import API
import Base
import Client
import Domain
import EventLoop
import Server
import Transport

/// `ws send`, `ws pull`, `ws take`, `ws hand-overs`.
enum HandOverCommands {
    static let all = [send, pull, take, list]

    private static let options: [Option] = [
        .flag("wait", "Wait while something runs in the workspace."),
        .flag("include-ignored", "Ignored files as well."),
        .value("ignored-limit", "SIZE", "Ignored files at most; default 100M."),
        .flag("detach", short: "d", "Return at once; the hand-over goes on."),
    ]
    private static let what =
        "Everything goes: commits, index, unstaged and untracked files, stashes, the agents' memory of the checkout, "
        + "terminals. Whatever is interrupted is gone on with by the same command, from either side."

    private static let send = Command(
        path: ["ws", "send"],
        summary: "Send a workspace to another server, with all that is uncommitted.",
        operands: [Operand(name: "WORKSPACE", count: .one, about: "name or id")],
        options: [
            .value("to", "REMOTE", "The server that it goes to, as in 'berth remote ls'."),
            .flag("abort", "Roll back a hand-over that is not decided yet: the workspace stays."),
        ] + options,
        examples: [Example(line: "berth ws send fix-login --to cloud", about: "Work goes on there")],
        discussion: what
    ) { arguments, terminal in
        if arguments.has("abort") { return try await abort(arguments, terminal) }
        let remote = try RemoteFile(terminal.environment).find(arguments.text("to"), field: "--to")
        return try await ServerSession.with(arguments, terminal) { session in
            let workspace = try await find(arguments.operands[0], session.client)
            let body = SendWorkspace(
                peer: remote.peer,
                includeIgnored: arguments.has("include-ignored"),
                ignoredLimitBytes: try arguments.bytes("ignored-limit")
            )
            let begun: HandOver = try await begin(arguments, session) {
                try await session.client.call(.handOverSend, path: ["workspaceId": workspace.id.text], body: body)
            }
            return try await follow(begun, workspace.name, arguments, session)
        }
    }

    private static func abort(_ arguments: ParsedArguments, _ terminal: Terminal) async throws -> Int32 {
        try await ServerSession.with(arguments, terminal) { session in
            let workspace = try await find(arguments.operands[0], session.client)
            let page: Page<HandOver> = try await session.client.call(.handOverList, query: [("limit", "200")])
            let open = page.items.first { $0.workspaceId == workspace.id && !$0.state.isSettled && $0.side == .source }
            guard let open else {
                throw BerthError(.notFound, "\(workspace.name) is not being sent", field: "WORKSPACE")
            }
            let reply: HandOverReply = try await session.client.call(
                .handOverMessage,
                path: ["handOverId": open.id.text],
                body: HandOverMessage(.abort)
            )
            try session.print(reply.handOver) { "\(workspace.name): rolled back, it stays here\n" }
            return 0
        }
    }

    private static let pull = Command(
        path: ["ws", "pull"],
        summary: "Pull a workspace from another server, with all that is uncommitted.",
        operands: [Operand(name: "WORKSPACE", count: .one, about: "name or id, as the other server has it")],
        options: [.value("from", "REMOTE", "The server that it comes from, as in 'berth remote ls'.")] + options,
        examples: [Example(line: "berth ws pull fix-login --from cloud", about: "Work goes on here")],
        discussion: what
    ) { arguments, terminal in
        let remote = try RemoteFile(terminal.environment).find(arguments.text("from"), field: "--from")
        let address = try remote.address
        let there = try BerthClient(
            url: address.url,
            key: address.key,
            trust: address.trust,
            proxy: HTTPProxy(environment: terminal.environment),
            loop: terminal.loop
        )
        let workspace = try await find(arguments.operands[0], there)
        await there.close()
        return try await ServerSession.with(arguments, terminal) { session in
            let body = PullWorkspace(
                peer: remote.peer,
                workspaceId: workspace.id,
                includeIgnored: arguments.has("include-ignored"),
                ignoredLimitBytes: try arguments.bytes("ignored-limit")
            )
            let begun: HandOver = try await begin(arguments, session) {
                try await session.client.call(.handOverPull, body: body)
            }
            return try await follow(begun, workspace.name, arguments, session)
        }
    }

    private static let take = Command(
        path: ["ws", "take"],
        summary: "Own a workspace whose hand-over never ends, because the other server is lost for ever.",
        operands: [Operand(name: "WORKSPACE", count: .one, about: "name or id")],
        options: [.flag("force", "You know that the other server, where it lives on, owns it as well.")],
        examples: [Example(line: "berth ws take fix-login --force", about: "The other machine burnt down")],
        discussion: "When both meet again, the other one steps down and keeps its version as the branch berth/orphan/…."
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace = try await find(arguments.operands[0], session.client)
            let taken: HandOver = try await session.client.call(
                .handOverTake,
                path: ["workspaceId": workspace.id.text],
                body: TakeWorkspace(force: arguments.has("force"))
            )
            try session.print(taken) {
                "\(workspace.name): yours, at epoch \(taken.epoch)\n"
            }
            if !session.isJSON {
                session.say("where \(taken.peerName) lives on, it owns the workspace too until both meet")
            }
            return 0
        }
    }

    private static let list = Command(
        path: ["ws", "hand-overs"],
        summary: "List hand-overs, newest first.",
        examples: [Example(line: "berth ws hand-overs", about: "What is on its way, and what came of the others")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<HandOver> = try await session.client.call(.handOverList)
            try session.print(page) {
                var table = Table(header: ["ID", "STATE", "STAGE", "AGE", "WORKSPACE", "OTHER SIDE", "REASON"])
                for item in page.items {
                    table.rows.append([
                        item.id.text, item.state.rawValue, item.stage, terminal.age(item.createdAt),
                        item.workspaceId.text, (item.side == .source ? "to " : "from ") + item.peerName,
                        item.failure?.message ?? "-",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    // MARK: On the way

    /// By id, or the newest of that name.
    private static func find(_ name: String, _ client: BerthClient) async throws -> Workspace {
        if (try? WorkspaceID(name)) != nil {
            return try await client.call(.workspaceGet, path: ["workspaceId": name])
        }
        var cursor: String?
        var names: [String] = []
        repeat {
            let page: Page<Workspace> = try await client.call(
                .workspaceList,
                query: [("limit", "200")] + (cursor.map { [("cursor", $0)] } ?? [])
            )
            if let found = page.items.first(where: { $0.name == name }) { return found }
            names += page.items.map(\.name)
            cursor = page.nextCursor
        } while cursor != nil
        throw BerthError(
            .notFound,
            "there is no workspace '\(name.prefix(80))' on \(client.url)",
            field: "WORKSPACE",
            remedy: Similarity.nearest(name, in: names).map { "did you mean '\($0)'?" }
                ?? "list them with 'berth ws ls'"
        )
    }

    /// With `--wait`, again while something runs in the workspace.
    private static func begin(
        _ arguments: ParsedArguments,
        _ session: ServerSession,
        _ call: () async throws -> HandOver
    ) async throws -> HandOver {
        var isTold = false
        while true {
            do {
                return try await call()
            } catch let error as BerthError
                where arguments.has("wait") && error.code == .conflict
                && error.remedy?.contains("--wait") == true
            {
                if !isTold { session.say("waiting: \(error.message)") }
                isTold = true
                try await session.terminal.loop.time.wait(for: .seconds(1))
            }
        }
    }

    private static func follow(
        _ begun: HandOver,
        _ name: String,
        _ arguments: ParsedArguments,
        _ session: ServerSession
    ) async throws -> Int32 {
        var current = begun
        var told = ""
        while !arguments.has("detach"), !current.state.isSettled {
            let stage = current.failure.map { "\($0.message); trying again" } ?? current.stage
            if stage != told { session.say("\(name): \(stage)…") }
            told = stage
            try await session.terminal.loop.time.wait(for: .milliseconds(150))
            do {
                current = try await session.client.call(.handOverGet, path: ["handOverId": current.id.text])
            } catch let error as BerthError where error.code == .unavailable {
                // The server restarts; the hand-over goes on with it.
                continue
            }
        }
        if current.state == .aborted || current.state == .orphaned {
            let reason = current.failure
            throw BerthError(
                reason?.code ?? .conflict,
                reason?.message ?? "the hand-over was rolled back; the workspace is where it was",
                remedy: reason?.remedy
            )
        }
        try session.print(current) { text(current, name) }
        return 0
    }

    private static func text(_ done: HandOver, _ name: String) -> String {
        guard done.state.isSettled else { return "\(name): \(done.stage); see 'berth ws hand-overs'\n" }
        let place = done.side == .source ? "now at \(done.peerName)" : "now here, from \(done.peerName)"
        var text = "\(name): \(place) (\(SizeText.text(done.bytes ?? 0)) sent)\n"
        for left in (done.summary?["leftBehind"]?.array ?? []).prefix(20) {
            text += "  stays, ignored: \(left.string ?? "")\n"
        }
        for skipped in (done.summary?["skipped"]?.array ?? []).prefix(20) {
            text += "  cannot travel: \(skipped.string ?? "")\n"
        }
        let there = done.side == .source ? "at \(done.peerName)" : "here"
        let missing = (done.summary?["missingVariables"]?.array ?? []).compactMap(\.string)
        if !missing.isEmpty {
            text += "  without value \(there): \(missing.joined(separator: ", "))\n"
            text += "  → give them \(there): berth ws env set \(name) \(missing[0])=…\n"
        }
        if done.summary?["missingLogin"]?.bool == true {
            text += "  without login for its remote \(there): name one with --git-secret or --ssh-key\n"
        }
        if let runs = done.summary?["runsLeft"]?.integer, runs > 0 {
            text +=
                "  stay \(done.side == .source ? "here" : "at \(done.peerName)"): its \(runs) runs and their output\n"
        }
        return text
    }
}

extension HandOverState {
    fileprivate var isSettled: Bool {
        switch self {
        case .preparing, .committed, .staging, .prepared: false
        case .done, .owner, .aborted, .retaken, .orphaned: true
        }
    }
}
