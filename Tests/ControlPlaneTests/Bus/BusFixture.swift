import Base
import Bus
import Database
import Domain
import EventBus
import Executions
import Synchronization
import TestSupport

/// The bus's services over the control plane's database.
struct BusFixture: Sendable {
    let plane: ControlPlane
    let bus: FaultyBus
    let tenants: BusTenants
    let held: HeldMessages
    let meter: BusMeter
    let requests: RecordedRequests
    let output: ScriptedOutput
    let intake: BusIntake
    let outbox: BusOutbox

    static func with(
        user: UserID? = nil,
        time: any TimeSource = SystemTime(),
        _ body: @escaping @Sendable (BusFixture) async throws -> Void
    ) async throws {
        try await ControlPlane.with(runs: false) { plane in try await body(make(plane, user, time)) }
    }

    private static func make(_ plane: ControlPlane, _ user: UserID?, _ time: any TimeSource) -> BusFixture {
        let log = Log(sink: SilentSink(), time: time)
        let bus = FaultyBus(EmbeddedBus.under(test: plane.database))
        let tenants = BusTenants(home: plane.organization, prefixesHome: false, user: user, database: plane.database)
        let seal = ValueSeal { value, _ in
            value.reversed()
        } open: { value, _ in
            value.reversed()
        }
        let held = HeldMessages(database: plane.database, seal: seal, ids: plane.ids, time: time)
        let meter = BusMeter(time: time, randomness: SystemRandomness(), log: log)
        let requests = RecordedRequests(plane)
        let output = ScriptedOutput()
        return BusFixture(
            plane: plane,
            bus: bus,
            tenants: tenants,
            held: held,
            meter: meter,
            requests: requests,
            output: output,
            intake: BusIntake(
                bus: bus,
                group: "berth",
                tenants: tenants,
                executions: requests,
                held: held,
                meter: meter,
                limit: 1 << 20,
                backoff: Backoff(first: .milliseconds(1), limit: .milliseconds(5)),
                time: time,
                randomness: SystemRandomness(),
                log: log
            ),
            outbox: BusOutbox(
                database: plane.database,
                feed: plane.feed,
                bus: bus,
                tenants: tenants,
                output: output,
                held: held,
                meter: meter,
                holder: "server-1",
                carriesFeed: true,
                carriesOutput: true,
                time: time,
                randomness: SystemRandomness()
            )
        )
    }

    /// Everything in a topic, in order of its partitions' offsets.
    func messages(in topic: BusTopic) async throws -> [BusMessage] {
        let name = topic.rawValue
        guard let status = try await bus.topics(where: { $0 == name }).first else { return [] }
        var positions = Dictionary(uniqueKeysWithValues: status.partitions.map { ($0.partition, Int64(0)) })
        var messages: [BusMessage] = []
        while true {
            let page = try await bus.read(name, from: positions, limit: 10_000, wait: .zero)
            guard !page.isEmpty else { return messages }
            messages += page
            for message in page { positions[message.partition] = message.offset + 1 }
        }
    }

    func message(_ value: [UInt8]?, offset: Int64 = 0, topic: String = BusTopic.execution.rawValue) -> BusMessage {
        BusMessage(topic: topic, partition: 0, offset: offset, key: nil, value: value, at: nil)
    }

    /// Records events of an execution as its services would.
    func record(
        _ type: String,
        _ execution: ExecutionID,
        attempt: Int = 1,
        state: String? = nil,
        told: JSONValue? = nil
    ) async throws {
        let owner = plane.user
        let word = String(type.split(separator: ".").last ?? "")
        let payload = JSONValue.object([
            "attempt": .integer(Int64(attempt)), "state": .string(state ?? word), "payload": told ?? .null,
        ]).text
        try await plane.feed.transaction(organization: plane.organization) { transaction in
            transaction.record(
                NewEvent(type, subject: execution, ownerID: owner, payload: payload, at: SystemTime().now)
            )
        }
    }
}

extension BusMessage {
    var json: JSONValue { (try? JSONValue(parsing: value ?? [])) ?? .null }
}

/// A bus with a log of its own that fails on command.
final class FaultyBus: EventBus {
    enum Fault: Sendable {
        case none, gone, lostAnswer
        /// One topic takes nothing.
        case refusal(topic: String, BerthError)
    }

    private let inner: any EventBus
    private let fault = Mutex(Fault.none)

    init(_ inner: any EventBus) { self.inner = inner }

    func set(_ new: Fault) { fault.withLock { $0 = new } }

    var kind: String { "kafka" }
    func cluster() async throws -> String { "cluster-1" }
    func ensure(_ topics: [String]) async throws { try await inner.ensure(topics) }

    func publish(_ messages: [OutgoingMessage]) async throws {
        let gone = BerthError(.unavailable, "nobody answers", isRetryable: true)
        switch fault.withLock({ $0 }) {
        case .none: try await inner.publish(messages)
        case .gone: throw gone
        case .refusal(let topic, let error):
            if messages.contains(where: { $0.topic == topic }) { throw error }
            try await inner.publish(messages)
        case .lostAnswer:
            try await inner.publish(messages)
            throw gone
        }
    }

    func consumer(group: String, of topics: TopicSelection) async throws -> any BusConsumer {
        try await inner.consumer(group: group, of: topics)
    }
    func topics(where isWanted: @escaping @Sendable (String) -> Bool) async throws -> [TopicStatus] {
        try await inner.topics(where: isWanted)
    }
    func positions(of group: String?, in topics: [String]) async throws -> [GroupPosition] {
        try await inner.positions(of: group, in: topics)
    }
    func read(_ topic: String, from positions: [Int32: Int64], limit: Int, wait: Duration) async throws -> [BusMessage]
    {
        try await inner.read(topic, from: positions, limit: limit, wait: wait)
    }
    func close() async {}
}

/// Makes the executions that messages ask for, and fails first as often as told.
final class RecordedRequests: ExecutionRequesting {
    private struct State {
        var failures: [BerthError] = []
        var principals: [Principal] = []
    }

    private let plane: ControlPlane
    private let state = Mutex(State())

    init(_ plane: ControlPlane) { self.plane = plane }

    func fail(with errors: [BerthError]) { state.withLock { $0.failures = errors } }
    var principals: [Principal] { state.withLock { $0.principals } }

    func run(_ request: BusRequest, by principal: Principal) async throws -> RequestedExecution {
        let failure = state.withLock { state in
            state.principals.append(principal)
            return state.failures.isEmpty ? nil : state.failures.removeFirst()
        }
        if let failure { throw failure }
        guard let words = request.body["command"]?.array?.compactMap(\.string) else {
            throw BerthError(.missingField, "the command is empty", field: "command")
        }
        var new = NewExecution(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            environmentID: nil,
            spec: ExecutionSpec(agent: .command),
            command: words
        )
        new.origin = ExecutionOrigin(message: request.message, requestedID: request.requestedID)
        let made = try await plane.executions.create(new)
        return RequestedExecution(id: made.execution.id, isNew: made.isNew)
    }
}

/// Stored output that a test lets grow.
final class ScriptedOutput: StoredOutputReading {
    private let streams = Mutex<[String: [UInt8]]>([:])

    private static func name(_ key: AttemptKey, _ stream: Domain.OutputStream) -> String { "\(key)/\(stream.rawValue)" }

    func append(_ bytes: [UInt8], to key: AttemptKey, _ stream: Domain.OutputStream = .stdout) {
        streams.withLock { $0[Self.name(key, stream), default: []] += bytes }
    }

    func length(_ key: AttemptKey, _ stream: Domain.OutputStream) async throws -> Int64 {
        Int64(streams.withLock { $0[Self.name(key, stream)]?.count ?? 0 })
    }

    func read(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    {
        streams.withLock { Array(($0[Self.name(key, stream)] ?? []).dropFirst(Int(offset)).prefix(limit)) }
    }
}
