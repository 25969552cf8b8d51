import API
import Base
import Domain
import Environments
import Transport

/// `/v1/environments/{id}/log`.
extension ServerCore {
    func environmentLog(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let id = try await environment(context).id
        let accepted = context.request.headers.tokens("accept")
        var after = try context.integer("after", default: 0)
        let isCurrent = context.flag("current")
        guard accepted.contains(where: { $0.hasPrefix("text/event-stream") }) else {
            let entries = try await environments.provisioningLog(
                id,
                organization: principal.organizationID,
                visibleTo: principal.visibleUser,
                after: after,
                isCurrent: isCurrent
            ).entries
            return try Self.json(Page(items: entries.map(API.ProvisioningEntry.init)))
        }
        if let text = context.request.headers["last-event-id"] {
            guard let seq = Int64(text), seq >= 0 else {
                throw BerthError(.invalidValue, "'\(text.prefix(40))' is no entry's number", field: "Last-Event-ID")
            }
            after = seq
        }
        let follows = context.request.queryValue("follow") == nil || context.flag("follow")
        return HTTPResponse(
            headers: ["cache-control": "no-store"],
            body: .events { [self, after] writer in
                sessions.add(writer, key: principal.keyID)
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                try await stream(id, by: principal, to: writer, after: after, isCurrent: isCurrent, follows: follows)
            }
        )
    }

    private func stream(
        _ id: EnvironmentID,
        by principal: Principal,
        to writer: EventWriter,
        after start: Int64,
        isCurrent: Bool,
        follows: Bool
    ) async throws {
        let bell = environments.bell(for: id)
        var after = start
        while true {
            let count = bell.count
            let (record, entries) = try await environments.provisioningLog(
                id,
                organization: principal.organizationID,
                visibleTo: principal.visibleUser,
                after: after,
                isCurrent: isCurrent
            )
            for entry in entries {
                let data = try JSONBody.encode(API.ProvisioningEntry(entry))
                try await writer.send(event: "entry", id: "\(entry.seq)", data: String(decoding: data, as: UTF8.self))
                after = entry.seq
            }
            if !follows || isCurrent && record.isSettled || record.state == .destroyed { return }
            // Lines that another server writes ring no bell here.
            let deadline = time.uptime + .seconds(1)
            try await draining.wait { [time] in try await bell.wait(after: count, until: deadline, time: time) }
        }
    }
}

extension API.ProvisioningEntry {
    init(_ entry: Environments.ProvisioningEntry) {
        self.init(seq: entry.seq, timestamp: entry.at, level: entry.level.rawValue, message: entry.message)
    }
}
