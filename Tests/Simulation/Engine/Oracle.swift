import Base
import Domain

/// Watches a world from outside and throws the rule that it breaks.
final class Oracle {
    private struct Process {
        let key: AttemptKey
        let worker: Int
        let startedAt: Int64
        var endedAt: Int64?
        var exit: SimHolder.Exit?
        var written = [0, 0]
    }

    private struct Known {
        var processes: [Process] = []
        var cancelAccepted = false
        var cancelAsked = false
        var end: ExecutionEnd?
        var endedAt: Int64 = 0
    }

    private let plan: Plan
    private var executions: [Int: Known] = [:]
    private let isClockSteady: Bool

    init(_ plan: Plan) {
        self.plan = plan
        isClockSteady = !plan.faults.contains { $0.kind == .clockForward || $0.kind == .clockBack }
    }

    private func breach(_ rule: String, _ words: @autoclosure () -> String) -> Breach {
        Breach(rule: rule, words: words())
    }

    // MARK: - Processes

    func processStarted(_ key: AttemptKey, _ order: Plan.Order, worker: Int, at: Int64) throws {
        var known = executions[order.index] ?? Known()
        defer { executions[order.index] = known }
        for process in known.processes where process.endedAt == nil {
            throw breach(
                "attempts never overlap",
                "attempt \(key.attempt) of order \(order.index) starts on worker \(worker) at \(at), while \(process.key.attempt) runs on \(process.worker)"
            )
        }
        if let earlier = known.processes.first, order.retry == .never {
            throw breach(
                "what has started is run again only by its policy",
                "attempt \(key.attempt) of order \(order.index) starts at \(at), after \(earlier.key.attempt)"
            )
        }
        if known.processes.contains(where: { $0.key == key }) {
            throw breach(
                "an attempt starts once",
                "attempt \(key.attempt) of order \(order.index) starts again at \(at)"
            )
        }
        known.processes.append(Process(key: key, worker: worker, startedAt: at))
    }

    func processEnded(_ key: AttemptKey, _ exit: SimHolder.Exit, written: [Int], at: Int64) throws {
        for index in executions.keys.sorted() {
            guard let place = executions[index]?.processes.firstIndex(where: { $0.key == key }) else { continue }
            executions[index]?.processes[place].endedAt = at
            executions[index]?.processes[place].exit = exit
            executions[index]?.processes[place].written = written
            guard let known = executions[index], known.end != nil, at - known.endedAt > Self.outliving else { continue }
            throw breach(
                "a process does not outlive its execution",
                "attempt \(key.attempt) of order \(index) went on for \(at - known.endedAt) ms after the recorded end"
            )
        }
    }

    /// Silence of 75 s, five seconds to KILL, and what a slow link takes to tell.
    private static let outliving: Int64 = 120_000

    // MARK: - The server's word

    func cancelAsked(_ index: Int) { executions[index, default: Known()].cancelAsked = true }

    /// The server answered that the cancel stands.
    func cancelAccepted(_ index: Int) throws {
        executions[index, default: Known()].cancelAccepted = true
        if let end = executions[index]?.end, end.outcome != .cancelled {
            throw breach("an accepted cancel wins", "order \(index) was \(end.outcome) already")
        }
    }

    /// A row as it was just stored.
    func stored(_ index: Int, _ machine: ExecutionMachine, report: ExecutionReport?, at: Int64) throws {
        if let end = executions[index]?.end {
            guard case .ended(end) = machine.status else {
                throw breach("an end is recorded once", "order \(index) was \(end.outcome), is \(machine.status)")
            }
            return
        }
        switch machine.status {
        case .queued, .assigned, .ended: break
        case .running(_, _, let cancel, let deadlineAt):
            if deadlineAt == nil, machine.timeoutMs != nil || cancel != nil {
                throw breach("every state has a deadline", "order \(index) runs without one")
            }
        }
        if case .ended(let end) = machine.status { try ended(index, end, report, at) }
    }

    private func ended(_ index: Int, _ end: ExecutionEnd, _ report: ExecutionReport?, _ at: Int64) throws {
        var known = executions[index] ?? Known()
        known.end = end
        known.endedAt = at
        executions[index] = known
        if known.cancelAccepted, end.outcome != .cancelled {
            throw breach("an accepted cancel wins", "order \(index) ended \(end.outcome)")
        }
        let process = end.attempt.flatMap { attempt in known.processes.first { $0.key.attempt == attempt } }
        switch end.outcome {
        case .cancelled:
            guard known.cancelAsked else {
                throw breach("a cancel is somebody's", "order \(index) was cancelled by nobody")
            }
        case .completed:
            guard process?.exit == .code(0) else {
                throw breach("a completed run has exited with 0", "order \(index): \(process?.exit as Any)")
            }
        case .timedOut:
            let limit = plan.orders.first { $0.index == index }?.timeoutMs
            guard let limit else { throw breach("a run without a limit has none", "order \(index) timed out") }
            if isClockSteady, report != nil, let process, let endedAt = process.endedAt,
                endedAt - process.startedAt > limit + 30_000
            {
                throw breach("a time limit is kept", "order \(index) ran \(endedAt - process.startedAt) ms of \(limit)")
            }
        case .failed:
            if report != nil, end.failure?.message.contains("before the run began") == true, process != nil {
                throw breach(
                    "what began is not said never to have begun",
                    "order \(index), attempt \(end.attempt ?? 0)"
                )
            }
            if end.failure?.code == .agentFailed, let exit = process?.exit, exit == .code(0) {
                throw breach("a run that exited with 0 has not failed", "order \(index)")
            }
        }
    }

    /// What is stored of an attempt's stream is what its process wrote.
    func output(_ key: AttemptKey, _ stream: Int, _ stored: [UInt8], headBytes: Int64, mark: OutputMark?) throws {
        let head = mark.map { $0.isTruncated ? Int($0.headBytes) : stored.count } ?? stored.count
        for place in stored.indices {
            var offset = place
            if place >= Int(headBytes) {
                // Behind the head lies the tail, whose place only the mark tells.
                guard let mark, place >= head else { continue }
                offset = Int(mark.totalBytes - mark.tailBytes) + place - Int(mark.headBytes)
            }
            guard stored[place] == SimHolder.byte(key, stream, offset) else {
                throw breach(
                    "stored output is what the process wrote",
                    "byte \(place) of stream \(stream) of attempt \(key.attempt), \(stored.count) stored, mark \(mark as Any)"
                )
            }
        }
    }

    /// An end that the worker reported, with the bytes that are stored at that moment.
    func reported(_ index: Int, _ key: AttemptKey, _ stream: Int, _ stored: [UInt8], _ mark: OutputMark) throws {
        let order = plan.orders.first { $0.index == index }
        try output(key, stream, stored, headBytes: order?.headBytes ?? 0, mark: mark)
        guard mark.storedBytes == Int64(stored.count) else {
            throw breach("the end comes after its output", "order \(index): \(stored.count) bytes, mark \(mark)")
        }
        let written = executions[index]?.processes.first { $0.key == key }?.written[stream] ?? 0
        guard mark.totalBytes == Int64(written) else {
            throw breach("a mark tells what was written", "order \(index): \(written) bytes, mark \(mark)")
        }
    }

    // MARK: - At rest

    var hasLivingProcess: Bool {
        executions.values.contains { $0.processes.contains { $0.endedAt == nil } }
    }

    func end(_ index: Int) -> ExecutionEnd? { executions[index]?.end }
    func attempts(_ index: Int) -> Int { executions[index]?.processes.count ?? 0 }
}
