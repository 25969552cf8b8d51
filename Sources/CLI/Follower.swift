import API
import Base
import Client
import Domain
import EventLoop
import Glibc

/// How a run's output is shown.
enum FollowMode: Sendable {
    /// What the agent does, in readable form.
    case agent
    /// Its bytes, streams apart.
    case raw
}

extension ServerSession {
    /// - Parameter repository: one of this machine that gets the branch at the end.
    func runAndFollow(
        _ request: CreateExecution,
        as mode: FollowMode,
        isDetached: Bool,
        returningTo repository: LocalRepository? = nil
    ) async throws -> Int32 {
        let execution: Execution = try await client.call(
            .executionCreate,
            body: request,
            idempotencyKey: Idempotency.key()
        )
        if isDetached {
            try print(execution) { "\(execution.id)\n" }
            if repository != nil { say("get its branch when it has ended: berth fetch \(execution.id)") }
            return 0
        }
        if mode == .agent, !isJSON { say("\(execution.id) — follow elsewhere with: berth logs -f \(execution.id)") }
        let status = try await follow(
            execution.id,
            as: mode,
            cancelsOnInterrupt: true,
            booting: !isJSON && (mode == .agent || terminal.isErrorTerminal) ? execution.environmentId : nil
        )
        if repository == nil, request.repository != nil, mode == .agent, !isJSON {
            try await tellUnpushed(execution.id)
        }
        if let repository { try await takeBack(execution.id, into: repository, besideBytes: mode == .raw) }
        return status
    }

    /// The run's own exit status stays whatever becomes of its branch, so what goes wrong here is told in words.
    private func takeBack(_ id: ExecutionID, into repository: LocalRepository, besideBytes: Bool) async throws {
        let execution: Execution = try await client.call(.executionGet, path: ["executionId": id.text])
        guard execution.status.hasEnded else { return say("get its branch when it has ended: berth fetch \(id)") }
        // Readable runs have told them with the outcome.
        if besideBytes, !isJSON {
            for warning in execution.report?.workspace?.warnings ?? [] { say("! " + warning) }
        }
        do {
            guard let branch = try await fetch(execution, into: repository) else {
                if besideBytes, !isJSON { say("no new commits") }
                return
            }
            guard isJSON else { return tell(branch, of: execution, in: repository, toError: besideBytes) }
            if !besideBytes { try writeEvent(branch, in: repository) }
        } catch {
            let problem = BerthError(wrapping: error)
            terminal.writeError(Program.text(problem, style: terminal.errorStyle))
            say("the commits are kept; get them with: berth fetch \(id)")
        }
    }

    /// Shows an execution until its end. The first interrupt cancels it (or leaves it), the second leaves at once.
    /// - Parameter environment: one whose boot is shown too, where it has to come up first.
    func follow(
        _ id: ExecutionID,
        as mode: FollowMode,
        cancelsOnInterrupt: Bool,
        booting environment: EnvironmentID? = nil
    ) async throws -> Int32 {
        let interrupts = try await SignalSource([SIGINT, SIGTERM], loop: terminal.loop)
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask { try await show(id, as: mode) }
            if let environment {
                group.addTask {
                    try await sayBoot(of: environment.text)
                    return nil
                }
            }
            group.addTask {
                var count = 0
                for await _ in interrupts {
                    count += 1
                    if !cancelsOnInterrupt || count > 1 {
                        say("left; \(id) goes on unless it was cancelled")
                        return ErrorCode.cancelled.exitStatus
                    }
                    say("cancelling \(id)… (once more leaves without waiting; --detach starts a run that stays)")
                    let _: Execution = try await client.call(.executionCancel, path: ["executionId": id.text])
                }
                return nil
            }
            defer { group.cancelAll() }
            while let status = try await group.next() {
                if let status { return status }
            }
            return ErrorCode.internal.exitStatus
        }
    }

    private func show(_ id: ExecutionID, as mode: FollowMode) async throws -> Int32 {
        let streams = mode == .agent ? "agent,stderr" : "stdout,stderr"
        let renderer = AgentRenderer(style: terminal.style, width: terminal.width)
        var events = client.events(of: id, streams: streams, isRaw: mode == .raw && !isJSON) {
            say("no server answers on \(client.url); \(id) goes on, and so does this as soon as one is back…")
        }
        while let event = try await events.next() {
            if isJSON {
                terminal.writeBytes(event.json + Array("\n".utf8), toError: false)
                if case .end(let execution) = event.kind { return execution.exitStatus }
                continue
            }
            switch event.kind {
            case .state(let state):
                if mode == .agent, state.status == .queued { say("queued…") }
            case .progress(let progress):
                if mode == .agent || terminal.isErrorTerminal { say("\(progress.message)…") }
            case .agent(let event):
                if let text = renderer.text(event) { terminal.write(text) }
            case .output(let stream, _, let bytes):
                terminal.writeBytes(bytes, toError: stream == .stderr)
            case .end(let execution):
                let status = finish(execution, as: mode)
                // The agent's own events end before bytes that are no line, so only exact bytes are counted.
                if mode == .raw {
                    try requireWhole(execution, .stdout, got: events.position.stdout)
                    try requireWhole(execution, .stderr, got: events.position.stderr)
                }
                return status
            }
        }
        throw BerthError(.network, "the server ended the stream before the run ended", isRetryable: true)
    }

    private func finish(_ execution: Execution, as mode: FollowMode) -> Int32 {
        sayGaps(execution)
        if mode == .agent {
            terminal.write(OutcomeText.text(execution, style: terminal.style))
        } else if let failure = execution.failure, failure.code != .agentFailed || execution.report?.signal != nil {
            terminal.writeError("berth: \(failure.message)" + (failure.remedy.map { " (\($0))" } ?? "") + "\n")
        } else if execution.status == .timedOut || execution.status == .cancelled {
            terminal.writeError(
                "berth: \(execution.id) \(execution.status == .timedOut ? "timed out" : "was cancelled")\n"
            )
        }
        return execution.exitStatus
    }

    /// What a capped stream did not keep, so that nobody takes what was shown for the whole.
    private func sayGaps(_ execution: Execution) {
        for (name, mark) in [("stdout", execution.report?.stdout), ("stderr", execution.report?.stderr)] {
            guard let mark, mark.isTruncated else { continue }
            let missing = mark.totalBytes - mark.headBytes - mark.tailBytes
            say("[\(missing) bytes of \(name) behind the first \(mark.headBytes) were not kept; see --max-output]")
        }
    }

    /// Output that was recorded and is not there any more is told, never passed over.
    private func requireWhole(_ execution: Execution, _ stream: OutputStream, got: Int64) throws(BerthError) {
        let recorded = stream == .stdout ? execution.report?.stdout : execution.report?.stderr
        guard execution.status.hasEnded, let recorded else { return }
        let kept = recorded.headBytes + recorded.tailBytes
        guard got < kept else { return }
        throw BerthError(
            .internal,
            "\(kept - got) of \(kept) recorded bytes of \(stream.rawValue) are missing on the server",
            remedy: "the files under output/\(execution.id) of its data directory were removed or cut; restore them"
        )
    }

    /// What is stored of an execution now.
    func showStored(_ execution: Execution, as mode: FollowMode) async throws {
        if isJSON {
            var events = client.events(of: execution.id, streams: "stdout,stderr,agent", isRaw: false, follows: false)
            while let event = try await events.next() {
                terminal.writeBytes(event.json + Array("\n".utf8), toError: false)
            }
            return
        }
        let renderer = AgentRenderer(style: terminal.style, width: terminal.width)
        if mode == .agent {
            var events = client.events(of: execution.id, streams: "agent,stderr", isRaw: false, follows: false)
            while let event = try await events.next() {
                switch event.kind {
                case .agent(let event): if let text = renderer.text(event) { terminal.write(text) }
                case .output(let stream, _, let bytes): terminal.writeBytes(bytes, toError: stream == .stderr)
                case .end(let execution):
                    terminal.write(OutcomeText.text(execution, style: terminal.style))
                    return
                default: continue
                }
            }
            return
        }
        for stream in OutputStream.allCases {
            var offset: Int64 = 0
            while true {
                let piece = try await client.output(of: execution.id, stream: stream, from: offset)
                if piece.isEmpty { break }
                terminal.writeBytes(piece, toError: stream == .stderr)
                offset += Int64(piece.count)
            }
            try requireWhole(execution, stream, got: offset)
        }
    }
}

enum Idempotency {
    /// One per command, so that a repeated request after a lost answer does not run twice.
    static func key() -> String { Hex.encode(SystemRandomness().bytes(16)) }
}
