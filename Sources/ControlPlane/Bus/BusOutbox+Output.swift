import Base
import Database
import Domain
import EventBus

// Output, by position in each stream. A range is written down before it is published: published once more after a crash,
// it is cut into the same messages, and consumers know each by execution, attempt, stream and offset.
extension BusOutbox {
    /// Of one stream in one round.
    private static let rangeBytes = 1 << 20
    /// Of all streams in one round.
    private static let roundBytes = 4 << 20

    private struct Followed: Sendable {
        var key: AttemptKey
        var organization: OrganizationID
        var requestedID: String?
        var ranges: [Domain.OutputStream: Range<Int64>]
        /// No more comes of it than is stored.
        var hasEnded: Bool
    }

    /// Publishes what has been stored since. Returns whether more is there already, for topics that take it.
    /// - Parameter chosen: only of these executions, to their very end; nil: of all that run.
    func publishOutput(of chosen: Set<ExecutionID>?) async throws -> Bool {
        var byTopic: [String: [Followed]] = [:]
        for one in try await followed() where chosen?.contains(one.key.executionID) ?? true {
            byTopic[tenants.name(of: .output, for: one.organization), default: []].append(one)
        }
        var isMore = false
        for (topic, followed) in byTopic.sorted(by: { $0.key < $1.key }) where !meter.isResting(topic) {
            isMore = try await publish(followed, to: topic, areLast: chosen != nil) || isMore
        }
        return isMore
    }

    /// A round of a topic's streams.
    private func publish(_ followed: [Followed], to topic: String, areLast: Bool) async throws -> Bool {
        var (planned, done): ([Followed], [Followed]) = ([], [])
        var messages: [OutgoingMessage] = []
        var (isMore, bytes) = (false, 0)
        for var one in followed {
            guard bytes < Self.roundBytes else {
                isMore = true
                break
            }
            let chunks = OutputChunks(
                key: one.key,
                organizationID: one.organization,
                requestedID: one.requestedID,
                topic: topic,
                at: time.now
            )
            let before = messages.count
            for stream in Domain.OutputStream.allCases {
                let range = one.ranges[stream] ?? 0..<0
                let found = try await self.range(range, of: one.key, stream, isLast: areLast || one.hasEnded)
                one.ranges[stream] = found.range.lowerBound..<found.range.lowerBound + Int64(found.bytes.count)
                messages += chunks.messages(stream, found.bytes, from: found.range.lowerBound)
                bytes += found.bytes.count
                isMore = isMore || found.isMore
            }
            if messages.count > before { planned.append(one) } else if one.hasEnded { done.append(one) }
        }
        try await drop(done)
        guard !planned.isEmpty else { return false }
        try await write(planned, BusStore.planStream)
        guard try await publish(messages, to: topic) else { return false }
        try await write(planned, BusStore.moveStream)
        return isMore
    }

    private func drop(_ done: [Followed]) async throws {
        guard !done.isEmpty else { return }
        let name = bus.kind
        try await database.write { connection in
            for one in done { try connection.run(BusStore.dropStream, name, one.key.executionID, one.key.attempt) }
        }
    }

    /// The bytes to publish next: those that were planned before and may or may not be there, else what is new.
    private func range(
        _ planned: Range<Int64>,
        of key: AttemptKey,
        _ stream: Domain.OutputStream,
        isLast: Bool
    ) async throws -> (range: Range<Int64>, bytes: [UInt8], isMore: Bool) {
        let stored = try await output.length(key, stream)
        if !planned.isEmpty {
            let bytes = try await read(key, stream, planned)
            return (planned, bytes, true)
        }
        let end = min(stored, planned.lowerBound + Int64(Self.rangeBytes))
        guard end > planned.lowerBound else { return (planned, [], false) }
        var bytes = try await read(key, stream, planned.lowerBound..<end)
        let isMore = end < stored
        // A character whose rest is still to come waits for it.
        if isMore || !isLast { bytes.removeLast(bytes.count - OutputChunks.cut(bytes[...])) }
        return (planned.lowerBound..<end, bytes, isMore)
    }

    private func read(_ key: AttemptKey, _ stream: Domain.OutputStream, _ range: Range<Int64>) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while Int64(bytes.count) < range.upperBound - range.lowerBound {
            let from = range.lowerBound + Int64(bytes.count)
            let part = try await output.read(key, stream, from: from, limit: Int(range.upperBound - from))
            guard !part.isEmpty else { break }
            bytes += part
        }
        return bytes
    }

    private func write(_ followed: [Followed], _ statement: SQL) async throws {
        let name = bus.kind
        try await database.write { connection in
            for one in followed {
                try connection.run(
                    statement,
                    name,
                    one.key.executionID,
                    one.key.attempt,
                    one.ranges[.stdout]?.upperBound ?? 0,
                    one.ranges[.stderr]?.upperBound ?? 0
                )
            }
        }
    }

    private func followed() async throws -> [Followed] {
        let name = bus.kind
        return try await database.read { connection in
            try connection.rows(BusStore.streams, name).map { row in
                Followed(
                    key: AttemptKey(try row.id("execution_id"), try row.int("attempt")),
                    organization: try row.id("organization_id"),
                    requestedID: try row.optionalText("requested_id"),
                    ranges: [
                        .stdout: try row.integer("stdout_offset")..<row.integer("stdout_planned"),
                        .stderr: try row.integer("stderr_offset")..<row.integer("stderr_planned"),
                    ],
                    hasEnded: try row.integer("ended") != 0
                )
            }
        }
    }
}
