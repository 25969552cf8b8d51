import Base
import Domain
import FoundationEssentials
import Synchronization
import Testing
import WorkerProtocol

@testable import Workers

/// The socket of a worker that a test plays.
final class MemoryTransport: LinkTransport {
    struct State: Sendable {
        var messages: [ServerMessage] = []
        var frames: [ChannelFrame] = []
        var answers: [UInt32: String?] = [:]
        var closed: (code: UInt16, reason: String)?
        /// Answers claims, where the worker can be claimed.
        var claimed: (link: WorkerLink, answers: ClaimAnswers)?
        /// What the worker does before the server knows that an assignment has left.
        var onAssignment: (@Sendable (ServerMessage.Assign) async throws -> Void)?
    }

    let state = Mutex(State())
    let changed = Wakeup()

    func send(text: [UInt8]) async throws {
        let message = try MessageCodec.decode(ServerMessage.self, from: text)
        state.withLock { state in
            if let message { state.messages.append(message) }
        }
        changed.ring()
        if case .claim(let claim) = message, let (link, answers) = state.withLock({ $0.claimed }) {
            await link.receive(text: try MessageCodec.encode(WorkerMessage.claimed(answers.answer(claim))))
        }
        if case .assign(let assign) = message, let act = state.withLock({ $0.onAssignment }) { try await act(assign) }
    }

    func send(binary: [UInt8]) async throws {
        let frame = try ChannelFrame(decoding: binary)
        state.withLock { $0.frames.append(frame) }
        changed.ring()
    }

    func answered(channel: UInt32, refusal: String?) async {
        state.withLock { $0.answers[channel] = .some(refusal) }
        changed.ring()
    }

    func close(code: UInt16, reason: String) async {
        state.withLock { state in
            if state.closed == nil { state.closed = (code, reason) }
        }
        changed.ring()
    }
}

/// One connection of a worker, played by a test through real frames.
struct ScriptedWorker: Sendable {
    let link: WorkerLink
    let transport: MemoryTransport

    init(_ service: WorkerService, _ identity: WorkerIdentity, claims: ClaimAnswers? = nil) {
        let transport = MemoryTransport()
        let link = service.connect(identity, over: transport)
        if let claims { transport.state.withLock { $0.claimed = (link, claims) } }
        self.transport = transport
        self.link = link
    }

    func say(_ message: WorkerMessage) async throws { await link.receive(text: try MessageCodec.encode(message)) }
    func send(_ frame: ChannelFrame) async { await link.receive(binary: frame.encoded()) }

    /// What the server sends next that `pick` takes; fails the test after 10 s.
    func expect<Value: Sendable>(_ pick: @escaping @Sendable (MemoryTransport.State) -> Value?) async throws -> Value {
        try await withDeadline(.seconds(30), time: SystemTime(), what: "the server's answer") {
            while true {
                let count = transport.changed.count
                if let value = transport.state.withLock({ pick($0) }) { return value }
                try await transport.changed.wait(after: count)
            }
        }
    }

    func assignment(_ index: Int = 0) async throws -> ServerMessage.Assign {
        try await expect { state in
            let all = state.messages.compactMap { if case .assign(let assign) = $0 { assign } else { nil } }
            return index < all.count ? all[index] : nil
        }
    }

    func ack() async throws -> ServerMessage.Ack {
        try await expect { state in
            state.messages.compactMap { if case .ack(let ack) = $0 { ack } else { nil } }.first
        }
    }

    func closed() async throws -> UInt16 { try await expect { $0.closed?.code } }

    @discardableResult
    func register(
        name: String = "worker-1",
        protocol version: Int? = 1,
        attempts: [WorkerMessage.AttemptPosition]? = [],
        slots: Int? = 2,
        stateID: String? = nil,
        startedAt: Int64? = nil
    ) async throws -> ServerMessage.Ack {
        try await say(
            .hello(
                .init(
                    workerId: name,
                    version: "0.1.0",
                    capabilities: ["claude-cli", "git", ServerMessage.claimCapability],
                    protocol: version,
                    attempts: version == nil ? nil : attempts,
                    stateId: stateID,
                    startedAt: startedAt
                )
            )
        )
        let ack = try await ack()
        try await say(.ready(.init(slots: version == nil ? nil : slots)))
        return ack
    }

    /// Says that the first attempt's process exists, and has it recorded.
    func start(_ execution: ExecutionID) async throws {
        try await say(.started(.init(executionId: execution, attempt: 1)))
        await link.recordStarts()
    }

    /// Sends `bytes` as the whole of a stream and its end.
    func output(_ bytes: [UInt8], _ key: AttemptKey, _ stream: OutputStream = .stdout, channel: UInt32 = 1) async throws
    {
        try await say(
            .open(
                .init(
                    channel: channel,
                    executionId: key.executionID,
                    attempt: key.attempt,
                    stream: stream,
                    offset: 0
                )
            )
        )
        await send(.data(channel: channel, offset: 0, bytes: bytes[...]))
        await send(.end(channel: channel, total: Int64(bytes.count)))
    }

    func complete(_ key: AttemptKey, _ report: ExecutionReport) async throws {
        let status: WorkerMessage.Complete.Status = report.outcome == .completed ? .completed : .failed
        try await say(
            .complete(
                .init(
                    executionId: key.executionID.text,
                    status: status,
                    exitCode: report.exitCode ?? -1,
                    durationMs: report.durationMs,
                    attempt: key.attempt,
                    report: report
                )
            )
        )
    }
}

extension ServerMessage.Assign {
    var key: AttemptKey {
        get throws { AttemptKey(try ExecutionID(executionId), attempt ?? 1) }
    }
}
