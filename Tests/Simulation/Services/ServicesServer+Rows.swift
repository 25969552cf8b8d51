import Base
import Database
import Domain
import FoundationEssentials
import OutputStore

/// What the rows told of an execution when they were last seen.
struct SeenRow {
    let id: ExecutionID
    var version: Int64 = -1
    var machine: ExecutionMachine
    /// Its client has the answer.
    var isAnswered = false
}

// After each commit the rows are looked at, and the oracle is told what has changed.
extension ServicesServer {
    private static let all: SQL = """
        SELECT id, persona_id, state, attempt, version, cancel_requested_at, cancelled_by, exit_code, failure_code,
            failure_message, result, deadline_at, ended_at
        FROM executions ORDER BY id
        """

    func observe() {
        do {
            try store.look { try $0.rows(Self.all, values: []) }.forEach(observe)
        } catch {
            breach = breach ?? error
        }
    }

    private func observe(_ row: Row) throws {
        guard let index = Int(try row.text("persona_id").dropFirst("order-".count)) else { return }
        let id: ExecutionID = try row.id("id")
        if let known = seen[index], known.id != id {
            throw Breach(
                rule: "a request with a key makes one execution",
                words: "order \(index): \(known.id) and \(id)"
            )
        }
        let version = try row.integer("version")
        guard seen[index]?.version != version else { return }
        let machine = try machine(row, world.order(index))
        seen[index, default: SeenRow(id: id, machine: machine)].version = version
        let wasOpen = seen[index]?.machine.state.isTerminal != true
        seen[index]?.machine = machine
        let attempt = try row.int("attempt")
        world.trace("server: order \(index) is \(machine.state), attempt \(attempt)")
        let report = try row.optionalText("result")
            .map { try JSONDecoder().decode(ExecutionReport.self, from: Data($0.utf8)) }
        try world.oracle.stored(index, machine, report: report, at: world.now)
        guard wasOpen || version == 0, case .ended(let end) = machine.status, let attempt = end.attempt, let report
        else { return }
        try lookAtEnd(index, AttemptKey(id, attempt), report)
    }

    private func machine(_ row: Row, _ order: Plan.Order) throws -> ExecutionMachine {
        let state: ExecutionState = try row.value("state")
        let attempt = try row.int("attempt")
        let at = Timestamp(milliseconds: 0)
        let deadline = try row.optionalTimestamp("deadline_at")
        let claim = AttemptClaim(
            attempt: attempt,
            workerID: MachineServer.workerIDs[0],
            instance: nil,
            assignedAt: at
        )
        let cancel = try row.optionalTimestamp("cancel_requested_at").map { CancelRequest(by: "user", at: $0) }
        let status: ExecutionMachine.Status =
            switch state {
            case .queued: .queued(since: at, attempts: attempt, notBefore: nil, deadlineAt: deadline ?? at)
            case .assigned: .assigned(claim, cancel: cancel, deadlineAt: deadline ?? at)
            case .running: .running(claim, startedAt: at, cancel: cancel, deadlineAt: deadline)
            case .completed, .failed, .cancelled, .timedOut: .ended(try end(row, state, attempt))
            }
        return ExecutionMachine(status: status, retry: order.retry, timeoutMs: order.timeoutMs)
    }

    private func end(_ row: Row, _ state: ExecutionState, _ attempt: Int) throws -> ExecutionEnd {
        ExecutionEnd(
            outcome: ExecutionReport.Outcome(rawValue: state.rawValue) ?? .failed,
            attempt: attempt > 0 ? attempt : nil,
            exitCode: try row.optionalInteger("exit_code").map(Int32.init(truncatingIfNeeded:)),
            failure: try row.optionalText("failure_code")
                .map { FailureReason(ErrorCode(rawValue: $0), try row.optionalText("failure_message") ?? "") },
            cancelledBy: try row.optionalText("cancelled_by"),
            endedAt: try row.timestamp("ended_at")
        )
    }

    // MARK: - Output

    private func stored(_ key: AttemptKey, _ stream: Domain.OutputStream) throws -> [UInt8] {
        let segments = SegmentStore(root: "\(store.directory)/output")
        let place = OutputKey(
            executionID: key.executionID,
            attempt: key.attempt,
            stream: stream == .stdout ? .stdout : .stderr
        )
        return try segments.read(place, from: 0, upTo: 1 << 20)
    }

    private func lookAtEnd(_ index: Int, _ key: AttemptKey, _ report: ExecutionReport) throws {
        // A worker that saw no end of the process tells no marks; the server then counts what it has.
        guard report.exitCode != nil || report.signal != nil else { return }
        for (number, mark) in [report.stdout, report.stderr].enumerated() {
            guard let mark else { continue }
            try world.oracle.reported(index, key, number, try stored(key, Domain.OutputStream.allCases[number]), mark)
        }
    }

    /// Every byte that is stored is the one that the process wrote there.
    func lookAtOutput(_ key: AttemptKey, _ stream: Domain.OutputStream) {
        do {
            guard let index = seen.first(where: { $0.value.id == key.executionID })?.key else { return }
            try world.oracle.output(
                key,
                stream == .stdout ? 0 : 1,
                try stored(key, stream),
                headBytes: world.order(index).headBytes,
                mark: nil
            )
        } catch {
            breach = breach ?? error
        }
    }

    // MARK: - For people

    func stateNumber(_ order: Int) -> Int? {
        guard let machine = seen[order]?.machine else { return nil }
        switch machine.status {
        case .queued: return 0
        case .assigned(_, let cancel, _): return cancel == nil ? 1 : 2
        case .running(_, _, let cancel, _): return cancel == nil ? 3 : 4
        case .ended: return 5
        }
    }

    func orderName(of id: ExecutionID) -> String {
        seen.first { $0.value.id == id }.map { "order \($0.key)" } ?? "an unknown order"
    }

    func words(_ order: Int) -> String { seen[order].map { "\($0.machine.status)" } ?? "not created" }
}
