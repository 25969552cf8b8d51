import API
import Base
import Client
import EventLoop
import FoundationEssentials
import Testing
import Transport

/// `/v1/changes` through a whole server.
@Suite struct ChangeFeedTests {
    private static func make(_ server: RunningServer, _ count: Int) async throws {
        for number in 0..<count {
            let url = "https://example.com/group/repository-\(number).git"
            let made = try await server.request("POST", "/v1/repositories", body: "{\"url\":\"\(url)\"}")
            #expect(made.status == 201)
        }
    }

    @Test func `a stream and a WebSocket bring the same changes, and go on where they were left`() async throws {
        try await RunningServer.with { server in
            try await Self.make(server, 3)
            let start = try await server.client.lastChange() - 3
            var events = server.client.changes(from: .after(start))
            let socket = try await server.http.webSocket(
                HTTPURL(server.url + "/v1/changes?after=\(start)"),
                headers: ["authorization": "Bearer \(server.key.reveal())"]
            )
            for number in 1...3 {
                guard case .change(let change) = try await events.next().kind else { throw Self.unexpected }
                #expect(change.sequence == start + Int64(number) && change.type == "repository.added")
                guard case .text(let text)? = try await socket.receive() else { throw Self.unexpected }
                let message = try JSONValue(parsing: text.utf8)
                #expect(message["event"]?.string == "change")
                #expect(message["data"]?["sequence"]?.integer == change.sequence)
                #expect(message["data"]?["subject"]?.string == change.subject)
            }
            try await Self.make(server, 4)
            guard case .change(let live) = try await events.next().kind else { throw Self.unexpected }
            #expect(live.sequence == start + 4)
            #expect(events.position == start + 4)
            let answer = try await server.http.send(
                HTTPClientRequest(
                    .get,
                    try HTTPURL(server.url + "/v1/changes?follow=false"),
                    headers: [
                        "authorization": "Bearer \(server.key.reveal())", "accept": "text/event-stream",
                        "last-event-id": "\(start + 2)",
                    ]
                )
            )
            let text = String(decoding: try await answer.body.collect(upTo: 1 << 20), as: UTF8.self)
            #expect(text.hasPrefix("event: change\nid: \(start + 3)\n"))
            socket.close()
        }
    }

    @Test func `a stream begins with the present rows`() async throws {
        try await RunningServer.with { server in
            try await Self.make(server, 2)
            var events = server.client.changes(ChangeQuery(kinds: ["repository"]), from: .snapshot)
            var names: [String] = []
            var mark: Int64?
            while mark == nil {
                switch try await events.next().kind {
                case .row(let row): names.append(row.row["name"]?.string ?? row.kind)
                case .snapshot(let seq): mark = seq
                case .change: throw Self.unexpected
                }
            }
            #expect(names.sorted() == ["repository-0", "repository-1"])
            #expect(mark == (try await server.client.lastChange()))
            #expect(events.position == mark)
            try await Self.make(server, 3)
            guard case .change(let change) = try await events.next().kind else { throw Self.unexpected }
            #expect(change.sequence == (mark ?? 0) + 1)
        }
    }

    @Test func `a page is filtered, and says how far it reaches`() async throws {
        try await RunningServer.with { server in
            try await Self.make(server, 5)
            let page: ChangePage = try await server.client.call(
                .changeList,
                query: [("kind", "repository"), ("limit", "2")]
            )
            #expect(page.changes.map(\.type) == ["repository.added", "repository.added"])
            #expect(page.oldest == 1 && page.nextAfter == page.changes.last?.sequence)
            let rest: ChangePage = try await server.client.call(
                .changeList,
                query: [("type", "nothing."), ("after", "\(page.nextAfter)")]
            )
            #expect(rest.changes.isEmpty && rest.nextAfter == page.last && rest.last == page.last)
        }
    }

    @Test(arguments: [
        ("/v1/changes?after=999999", "application/json", 410), ("/v1/changes?after=999999", "text/event-stream", 410),
        ("/v1/changes?snapshot=true", "application/json", 400), ("/v1/changes?after=-1", "text/event-stream", 400),
        ("/v1/changes?kinds=x", "text/event-stream", 400),
    ])
    func `a place that there is not is refused before the stream begins`(path: String, accept: String, status: Int)
        async throws
    {
        try await RunningServer.with { server in
            let answer = try await server.request("GET", path, headers: ["accept": accept])
            #expect(answer.status == status)
            #expect(answer.headers["content-type"] == Problem.mediaType)
        }
    }

    @Test func `a follower comes back to the server's successor and misses nothing`() async throws {
        let data = "/tmp/berth-changes-\(Hex.encode(SystemRandomness().bytes(6)))"
        defer { try? FileManager.default.removeItem(atPath: data) }
        let (port, key, start) = try await RunningServer.with(data: data) { server in
            try await Self.make(server, 1)
            return (
                server.url.split(separator: ":").last.map(String.init) ?? "", server.key,
                try await server.client.lastChange()
            )
        }
        let loop = try EventLoop(name: "follower")
        loop.start()
        defer { loop.stop() }
        let client = try BerthClient(url: "http://127.0.0.1:\(port)", key: key, loop: loop)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let isDone = Wakeup()
            group.addTask {
                defer { isDone.ring() }
                var events = client.changes(ChangeQuery(kinds: ["repository"]), from: .after(start))
                guard case .change(let change) = try await events.next().kind else { throw Self.unexpected }
                #expect(change.sequence > start)
            }
            group.addTask {
                try await RunningServer.with(data: data, settings: ["listen": "127.0.0.1:\(port)"]) { server in
                    try await Self.make(server, 2)
                    try await isDone.wait(after: 0, until: loop.time.uptime + .seconds(30), time: loop.time)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Made from the route table: a new route is tested by being declared.
    @Test func `every answer to a change names its number`() async throws {
        try await RunningServer.with { server in
            let made = try await server.request("POST", "/v1/environments", body: #"{"name":"e1"}"#)
            let environment = try #require(made.body?["id"]?.string)
            let execution = try await server.request("POST", "/v1/executions", body: #"{"command":["true"]}"#)
            let key = try await server.request("POST", "/v1/keys", body: #"{"name":"k"}"#)
            let ids = [
                "topic": "persona.events.v1", "environmentId": environment,
                "executionId": execution.body?["id"]?.string ?? "",
                "keyId": key.body?["key"]?["id"]?.string ?? "",
            ]
            let bodies: [RouteID: String] = [
                .executionCreate: #"{"command":["true"]}"#, .environmentCreate: #"{"name":"e2"}"#,
                .repositoryCreate: #"{"url":"https://example.com/a/b.git"}"#, .keyCreate: #"{"name":"k2"}"#,
                .compatibilityExecute: #"{"personaId":"p","prompt":"x"}"#, .uploadCreate: "bytes",
                .busPublish: #"{"value":"{}"}"#, .quotaSet: #"{"tier":"unlimited"}"#, .environmentProvision: "{}",
                .environmentExtend: #"{"expiresAt":"2090-01-01T00:00:00Z"}"#,
            ]
            var refused: [RouteID] = []
            var before = try await server.client.lastChange()
            for route in RouteTable.all where route.method != .get && ![.open, .worker].contains(route.access) {
                var path = route.path
                for (name, id) in ids { path = path.replacing("{\(name)}", with: id) }
                let answer = try await server.request(
                    route.method.rawValue,
                    path,
                    body: bodies[route.id],
                    headers: route.takesBytes ? ["content-type": "application/octet-stream"] : HTTPHeaders()
                )
                guard answer.status < 300 else {
                    refused.append(route.id)
                    continue
                }
                let seq = try #require(answer.headers["berth-seq"].flatMap { Int64($0) }, "\(route.id)")
                #expect(seq >= before, "\(route.id)")
                before = seq
                #expect(try await server.client.lastChange() >= seq, "\(route.id)")
            }
            // What an environment that does not run, or is open to the network, cannot do, what only a dead letter can, a
            // topic that nobody named, and procedures of the documents without their input.
            let excused: Set<RouteID> = [
                .environmentPause, .environmentRetry, .environmentResume, .deadLetterRetry, .deadLetterDrop, .jobRetry,
                .busPublish, .environmentExecute, .environmentNetwork,
                // Destroyed before, in the order of the table.
                .environmentExtend, .snapshotCreate, .snapshotRemove, .environmentFork, .environmentRestore,
                .imageImport, .imageRemove,
                .terminalCreate, .terminalEnd, .terminalRemove,
                .sshPrepare, .sshCredentials, .sshCredentialsEnd, .fileWrite, .fileRemove, .fileMakeDirectory,
                .fileMove, .treeUpload,
                .gitCommit, .gitBranchCreate, .gitSwitch, .gitPush, .gitPull, .processSignal,
                .presenceJoin, .presenceHeartbeat, .presenceLeave,
                // Of no workspace, or of one whose environment was destroyed before.
                .workspaceCreate, .workspaceRetry, .workspaceUnarchive, .workspaceDelete, .workspaceSync,
                .workspaceVariableRemove, .workspaceRunStart, .workspaceRunStop, .workspaceArchive, .workspaceUpdate,
                .workspaceVariablesSet,
                .handOverSend, .handOverPull, .handOverTake, .handOverMessage, .handOverDeliver,
                .setupBegin, .setupCheck,
                .agentSessionCreate, .agentSessionSend, .agentSessionWithdraw, .agentSessionAnswer,
                .agentSessionInterrupt, .agentSessionChange, .agentSessionStop, .agentSessionRemove,
            ]
            let others = Set(refused).subtracting(excused)
            #expect(others.allSatisfy { ["vm", "cl"].contains($0.rawValue.prefix(2)) }, "\(others)")
        }
    }

    private static let unexpected = BerthError(.internal, "another event than expected")
}
