import Base
import Domain
import EventLoop
import Synchronization
import TestSupport
import Transport
import WorkerProtocol

/// The least that a worker needs of a server: takes its connection, stores its output, remembers what it said.
/// Output and ends survive `stop` and `start`, as a real server's would.
actor PlainServer {
    struct Key: Hashable {
        var executionID: ExecutionID
        var stream: OutputStream
    }

    private let path: String
    private let loop: EventLoop
    private var server: HTTPServer?
    private var socket: WebSocket?
    private var channels: [UInt32: Key] = [:]
    private var isReady = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private var revision = 0
    private(set) var output: [Key: [UInt8]] = [:]
    private(set) var tails: [Key: [UInt8]] = [:]
    private(set) var totals: [Key: Int64] = [:]
    private(set) var messages: [WorkerMessage] = []
    private(set) var reports: [ExecutionID: ExecutionReport] = [:]
    private(set) var hellos: [WorkerMessage.Hello] = []
    private(set) var connectionCount = 0
    private var actions: [ExecutionID: ServerMessage.ResumePoint.Action] = [:]
    /// While false a receiver grants nothing beyond the credit of the beginning.
    var grantsCredit = true
    private var refusals = 0

    init(path: String, loop: EventLoop) {
        self.path = path
        self.loop = loop
    }

    func start() async throws {
        var configuration = HTTPServerConfiguration()
        configuration.webSocket.maximumMessageBytes = ProtocolLimits.maximumMessageBytes
        let server = HTTPServer(
            loops: [loop],
            configuration: configuration,
            ids: IDSource(time: SystemTime(), randomness: SystemRandomness()),
            log: Log(sink: SilentSink(), time: SystemTime())
        ) { request in
            guard request.path == "/v1/worker", request.headers["authorization"] == "Bearer test-token" else {
                await self.refuse()
                return .text("no", status: 401)
            }
            return HTTPResponse(body: .webSocket(subprotocol: nil) { try await self.serve($0) })
        }
        try await server.listen(on: .unix(path: path, mode: 0o600))
        self.server = server
    }

    func stop() async {
        isReady = false
        await server?.shutdown(drainingFor: .zero)
        server = nil
        socket = nil
    }

    func grantCredit(_ grants: Bool) { grantsCredit = grants }
    func answer(_ id: ExecutionID, _ action: ServerMessage.ResumePoint.Action) { actions[id] = action }

    private func refuse() {
        refusals += 1
        changed()
    }

    func send(_ message: ServerMessage) async throws {
        try await until("a worker is ready") { self.isReady }
        try await socket?.send(text: String(decoding: try MessageCodec.encode(message), as: UTF8.self))
    }

    // MARK: - Waiting

    func until(_ what: String, within deadline: Duration = .seconds(20), _ isTrue: () -> Bool) async throws {
        let time = SystemTime()
        let expiry = time.uptime + deadline
        while true {
            let seen = revision
            if isTrue() { return }
            guard time.uptime < expiry else { throw BerthError(.timedOut, "waited in vain until \(what)") }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.change(after: seen) }
                group.addTask {
                    try? await time.wait(until: expiry)
                    await self.changed()
                }
                await group.next()
                group.cancelAll()
                self.changed()
            }
        }
    }

    private func change(after seen: Int) async {
        guard revision == seen else { return }
        await withCheckedContinuation { waiters.append($0) }
    }

    private func changed() {
        revision += 1
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }

    func report(_ id: ExecutionID, within deadline: Duration = .seconds(20)) async throws -> ExecutionReport {
        try await until("\(id) has ended", within: deadline) { self.reports[id] != nil }
        return try unwrapped(reports[id])
    }

    /// What the worker says when it is asked what goes on.
    func activity() async throws -> ActivityReport {
        func reports() -> [ActivityReport] {
            messages.compactMap { if case .heartbeat(let beat) = $0 { beat.activity } else { nil } }
        }
        let count = reports().count
        try await send(.look(.init()))
        try await until("the worker has said what goes on") { reports().count > count }
        return try unwrapped(reports().last)
    }

    func progressed() async throws {
        try await until("something is on") {
            self.messages.contains { if case .progress = $0 { true } else { false } }
        }
    }
    func refused() async throws { try await until("a connection was refused") { self.refusals > 0 } }
    func connected(times count: Int) async throws {
        try await until("\(count) connections") { self.connectionCount >= count && self.isReady }
    }
    func bytes(_ id: ExecutionID, _ stream: OutputStream = .stdout, atLeast count: Int) async throws {
        let key = Key(executionID: id, stream: stream)
        try await until("\(count) bytes of \(stream)") { (self.output[key]?.count ?? 0) >= count }
    }

    func text(_ id: ExecutionID, _ stream: OutputStream = .stdout) -> String {
        String(decoding: output[Key(executionID: id, stream: stream)] ?? [], as: UTF8.self)
    }
    func stored(_ id: ExecutionID, _ stream: OutputStream = .stdout) -> [UInt8] {
        output[Key(executionID: id, stream: stream)] ?? []
    }
    func tail(_ id: ExecutionID, _ stream: OutputStream = .stdout) -> [UInt8] {
        tails[Key(executionID: id, stream: stream)] ?? []
    }
    func total(_ id: ExecutionID, _ stream: OutputStream = .stdout) -> Int64? {
        totals[Key(executionID: id, stream: stream)]
    }

    private func unwrapped<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw BerthError(.internal, "nothing there") }
        return value
    }

    // MARK: - One connection

    private func serve(_ socket: WebSocket) async throws {
        self.socket = socket
        channels = [:]
        connectionCount += 1
        while let message = try await socket.receive() {
            switch message {
            case .text(let text):
                guard let known = try MessageCodec.decode(WorkerMessage.self, from: Array(text.utf8)) else { continue }
                try await take(known, socket)
            case .binary(let bytes): try await take(try ChannelFrame(decoding: bytes), socket)
            }
            changed()
        }
    }

    private func take(_ message: WorkerMessage, _ socket: WebSocket) async throws {
        messages.append(message)
        switch message {
        case .hello(let hello):
            hellos.append(hello)
            let points = (hello.attempts ?? []).map { position in
                ServerMessage.ResumePoint(
                    executionId: position.executionId,
                    attempt: position.attempt,
                    action: actions[position.executionId] ?? (reports[position.executionId] == nil ? .resume : .forget),
                    stdout: Int64(stored(position.executionId, .stdout).count),
                    stderr: Int64(stored(position.executionId, .stderr).count)
                )
            }
            let ack = ServerMessage.Ack(workerId: hello.workerId, sessionToken: "s", protocol: 1, resume: points)
            try await socket.send(
                text: String(decoding: try MessageCodec.encode(ServerMessage.ack(ack)), as: UTF8.self)
            )
        case .ready: isReady = true
        case .open(let open): channels[open.channel] = Key(executionID: open.executionId, stream: open.stream)
        case .complete(let complete):
            let id = try ExecutionID(complete.executionId)
            reports[id] = complete.report
            let forget = ServerMessage.forget(.init(executionId: id, attempt: complete.attempt ?? 1))
            try await socket.send(text: String(decoding: try MessageCodec.encode(forget), as: UTF8.self))
        default: break
        }
    }

    private func take(_ frame: ChannelFrame, _ socket: WebSocket) async throws {
        switch frame {
        case .data(let channel, let offset, let bytes):
            let key = try unwrapped(channels[channel])
            let known = Int64(output[key]?.count ?? 0)
            guard offset == known else {
                throw BerthError(.protocolViolation, "offset \(offset) where \(known) was expected")
            }
            output[key, default: []] += bytes
            guard grantsCredit else { return }
            let durable = known + Int64(bytes.count)
            let credit = ChannelFrame.credit(
                channel: channel,
                limit: durable + ChannelFrame.initialCredit,
                durable: durable
            )
            try await socket.send(binary: credit.encoded())
        case .tail(let channel, _, let bytes): tails[try unwrapped(channels[channel]), default: []] += bytes
        case .end(let channel, let total): totals[try unwrapped(channels[channel])] = total
        case .credit, .reset: throw BerthError(.protocolViolation, "a worker grants no credit and resets nothing")
        }
    }
}
