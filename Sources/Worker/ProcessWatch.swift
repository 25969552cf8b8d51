internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Domain
internal import HolderProtocol
internal import OutputStore
internal import Subprocess
internal import WorkerProtocol

/// Looks after one process until it and its output have ended: moves its bytes, reads what the agent says, and ends it
/// at its deadline, at a cap, or when somebody asks.
struct ProcessWatch: Sendable {
    let attempt: Attempt
    let child: Child
    let spools: Attempt.Spools

    struct Result: Sendable {
        var end: ProcessEnd
        var observation: AgentObservation
        /// The output could not be stored to its end.
        var storageFailure: BerthError?
    }

    private static let roomPatience: Duration = .seconds(60)

    private enum Part: Sendable {
        case exited(ProcessEnd)
        case pumped(BerthError?)
        case observed(AgentObservation)
        case guarded
    }

    func run() async throws -> Result {
        let services = attempt.services
        let id = attempt.key.description
        let record = await attempt.record
        return try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                .exited(ProcessEnd(try await services.holder.exit(of: id).cause))
            }
            for (source, spool) in [
                (child.descriptors.output, spools.stdout), (child.descriptors.error, spools.stderr),
            ] {
                group.addTask { .pumped(await pump(source, to: spool)) }
            }
            group.addTask { .observed(try await observe(record)) }
            group.addTask {
                guard (try? await attempt.stopRequested()) != nil else { return .guarded }
                await attempt.recordStop()
                try await terminate()
                return .guarded
            }
            if let deadline = record.deadline {
                group.addTask {
                    if (try? await services.time.wait(until: Uptime(nanoseconds: deadline))) != nil {
                        await attempt.stop(.timedOut)
                    }
                    return .guarded
                }
            }
            defer { group.cancelAll() }
            var end: ProcessEnd?
            var observation: AgentObservation?
            var streams = 0
            var storageFailure: BerthError?
            while end == nil || streams < 2 || observation == nil, let part = try await group.next() {
                switch part {
                case .exited(let known): end = known
                case .observed(let known): observation = known
                case .guarded: break
                case .pumped(let failure):
                    streams += 1
                    guard let failure else { continue }
                    storageFailure = storageFailure ?? failure
                    try await terminate()
                }
            }
            guard let end, let observation else { throw CancellationError() }
            return Result(end: end, observation: observation, storageFailure: storageFailure)
        }
    }

    private func terminate() async throws {
        try await attempt.services.holder.terminate(attempt.key.description, grace: ProtocolLimits.killGrace)
    }

    /// Without room the bytes wait in the pipe, and the process for its reader; what cannot be stored within
    /// ``roomPatience`` ends the run, with the prefix that is stored.
    private func pump(_ source: OutputSource?, to spool: Spool) async -> BerthError? {
        let services = attempt.services
        var stuck: (since: Uptime, at: Int64)?
        while true {
            do {
                if let source {
                    _ = try await OutputPump(source: source, spool: spool, loop: services.loop).run()
                } else {
                    try spool.finish()
                }
                return nil
            } catch let error as BerthError where error.code == .diskFull {
                let now = services.time.uptime
                if stuck?.at != spool.totalBytes {
                    if stuck == nil { services.log.warning("no room for output", ["attempt": attempt.key]) }
                    stuck = (now, spool.totalBytes)
                }
                let isHopeless = await attempt.stopCause != nil || now >= (stuck?.since ?? now) + Self.roomPatience
                if !isHopeless, (try? await services.time.wait(for: .milliseconds(200))) != nil { continue }
                return close(spool, error)
            } catch {
                return close(spool, BerthError(wrapping: error))
            }
        }
    }

    /// What is stored is all that there will be.
    private func close(_ spool: Spool, _ failure: BerthError) -> BerthError {
        // Cancelled with its worker, it is left as it is: a successor goes on.
        guard !Task.isCancelled else { return failure }
        do {
            try spool.finish()
        } catch {
            attempt.services.log.error("output not closed", ["attempt": attempt.key, "error": "\(error)"])
        }
        return failure
    }

    /// Reads standard output as it grows. Nothing to do for an agent without a protocol of its own.
    private func observe(_ record: AttemptRecord) async throws -> AgentObservation {
        var observation = AgentObservation(agent: record.agent, caps: record.caps)
        guard observation.isReading else { return observation }
        let spool = spools.stdout
        var position: Int64 = 0
        while true {
            let bytes = (try? spool.read(from: position, upTo: 256 << 10)) ?? []
            if let mark = spool.mark, mark.isTruncated, position == mark.storedHead {
                // The tail follows: the verdict is in its last line.
                observation.jump(to: mark.totalBytes - mark.storedTail)
            }
            if !bytes.isEmpty {
                // A piece never spans the gap between head and tail.
                let room = spool.mark.map { position < $0.storedHead ? Int($0.storedHead - position) : bytes.count }
                let piece = bytes.prefix(room ?? bytes.count)
                position += Int64(piece.count)
                await tell(observation.feed(piece))
                if let cause = observation.stopCause { await attempt.stop(cause) }
                continue
            }
            if case .finished = try await spool.waitForGrowth(beyond: position), spool.length <= position { break }
        }
        await tell(observation.finish())
        return observation
    }

    private func tell(_ messages: [PersonaMessage]) async {
        for message in messages {
            await attempt.notify(
                .event(
                    .init(
                        executionId: await attempt.record.wireID,
                        eventType: message.name,
                        payload: message.payload
                    )
                )
            )
        }
    }
}
