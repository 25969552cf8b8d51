public import Base
import Domain
public import EventBus

/// Takes what the exec topics ask for: each message becomes one execution, or a dead letter with the reason. The group's
/// offset moves only when one of the two is durable.
public struct BusIntake: Sendable {
    private let bus: any EventBus
    private let group: String
    private let tenants: BusTenants
    private let executions: any ExecutionRequesting
    private let held: HeldMessages
    private let meter: BusMeter
    /// Largest message in bytes.
    private let limit: Int
    private let backoff: Backoff
    private let time: any TimeSource
    private let randomness: any Randomness
    private let log: Log

    /// How often what may pass is tried before the message is given up.
    private static let tries = 3

    public init(
        bus: any EventBus,
        group: String,
        tenants: BusTenants,
        executions: any ExecutionRequesting,
        held: HeldMessages,
        meter: BusMeter,
        limit: Int,
        backoff: Backoff = Backoff(first: .seconds(1), limit: .seconds(30)),
        time: any TimeSource,
        randomness: any Randomness,
        log: Log
    ) {
        self.bus = bus
        self.group = group
        self.tenants = tenants
        self.executions = executions
        self.held = held
        self.meter = meter
        self.limit = limit
        self.backoff = backoff
        self.time = time
        self.randomness = randomness
        self.log = log
    }

    /// Runs until it is cancelled.
    public func run() async throws {
        var backoff = Backoff(first: .milliseconds(500), limit: .seconds(10))
        while true {
            do {
                try await consume { backoff.reset() }
            } catch {
                try Task.checkCancellation()
                meter.failed(BerthError(wrapping: error))
                try await time.wait(for: backoff.next(randomness))
            }
        }
    }

    private func consume(_ reached: () -> Void) async throws {
        let cluster = try await bus.cluster()
        meter.reached()
        // Topics that clients make themselves are as good.
        try? await bus.ensure(BusTopic.allCases.map { tenants.name(of: $0, for: tenants.home) })
        let names = Set([BusTopic.execution.rawValue, tenants.name(of: .execution, for: tenants.home)]).sorted()
        let consumer = try await bus.consumer(
            group: group,
            of: TopicSelection(names, tenantsOf: [.execution])
        )
        do {
            try await take(from: consumer, cluster, reached)
        } catch {
            await consumer.close()
            throw error
        }
    }

    private func take(from consumer: any BusConsumer, _ cluster: String, _ reached: () -> Void) async throws {
        while true {
            let messages = try await consumer.poll(limit: 100, wait: .seconds(1))
            try Task.checkCancellation()
            var last: [String: BusMessage] = [:]
            for message in messages {
                try await take(message, cluster)
                last["\(message.partition)/\(message.topic)"] = message
            }
            for message in last.values.sorted(by: { ($0.topic, $0.partition) < ($1.topic, $1.partition) }) {
                do {
                    try await consumer.commit(message)
                } catch let error as BerthError where error.code == .stale {
                    // Its new reader finds the executions made.
                    log.debug("partition moved on", ["topic": message.topic, "partition": message.partition])
                }
            }
            if !messages.isEmpty { reached() }
        }
    }

    /// Returns when the message is an execution or a dead letter, for good.
    public func take(_ message: BusMessage, _ cluster: String) async throws {
        var failures = 0
        var backoff = backoff
        while true {
            do {
                let principal = try await tenants.principal(for: message.topic)
                let request = try BusRequest(message, cluster: cluster, limit: limit)
                let made = try await executions.run(request, by: principal)
                meter.count { made.isNew ? ($0.taken += 1) : ($0.repeated += 1) }
                return
            } catch {
                try Task.checkCancellation()
                let error = BerthError(wrapping: error)
                switch Self.verdict(error) {
                case .wait: log.warning("message of the exec topic has to wait", Self.facts(message, error))
                case .tryAgain:
                    failures += 1
                    if failures >= Self.tries { return try await refuse(message, error, retries: failures) }
                case .refuse: return try await refuse(message, error, retries: failures)
                }
                try await time.wait(for: backoff.next(randomness))
            }
        }
    }

    private enum Verdict { case wait, tryAgain, refuse }

    /// The server's own surroundings are waited for; what the message itself is at fault for does not pass.
    private static func verdict(_ error: BerthError) -> Verdict {
        switch error.code {
        case .unavailable, .diskFull: .wait
        case .conflict, .stale, .illegalTransition, .quotaExceeded, .rateLimited, .timedOut, .network: .tryAgain
        case _ where error.code.httpStatus >= 500: .tryAgain
        default: .refuse
        }
    }

    private func refuse(_ message: BusMessage, _ error: BerthError, retries: Int) async throws {
        let owner = tenants.organization(of: message.topic)
        // A tenant that is not here gets no topic of its own.
        let isKnown = (try? await tenants.principal(for: message.topic)) != nil
        let topic = tenants.name(of: .deadLetters, for: isKnown ? owner ?? tenants.home : tenants.home)
        try await held.add(DeadLetter(message: message, error: error, retries: retries).outgoing(to: topic))
        meter.count { $0.refused += 1 }
        log.warning("message of the exec topic refused", Self.facts(message, error))
    }

    private static func facts(_ message: BusMessage, _ error: BerthError) -> Log.Facts {
        [
            "topic": message.topic, "partition": message.partition, "offset": message.offset, "code": error.code,
            "error": error.description,
        ]
    }
}
