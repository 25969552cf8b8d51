import API
import Base
import Domain
import HandOvers

// What the other server of a hand-over says here. Every message may come twice.
extension ServerCore {
    func answer(_ message: HandOverMessage, _ id: HandOverID, _ principal: Principal) async throws -> HandOverReply {
        guard message.version == HandOverMessage.version else {
            throw BerthError(
                .unsupported,
                "the other server speaks version \(message.version) of hand-overs, this one \(HandOverMessage.version)",
                remedy: "bring both servers to the same version"
            )
        }
        let wish = HandOverWish(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            includesIgnored: message.includeIgnored ?? false,
            ignoredLimit: message.ignoredLimitBytes ?? Self.standardIgnoredLimit
        )
        switch message.kind {
        case .offer: return try await take(offer: message, id, wish)
        case .request: return try await release(message, id, wish)
        default: break
        }
        let record = try await handOvers.get(id, organization: principal.organizationID, visibleTo: principal.userID)
        try check(message.kind, record)
        switch message.kind {
        case .offer, .request: return reply(record)
        case .prepare: return reply(try await prepare(record))
        case .commit: return reply(try await own(record))
        case .abort:
            // A destination that is prepared may not give up by itself: the epoch is what the source knows.
            guard record.side == .source || message.epoch == record.epoch else {
                throw BerthError(
                    .conflict,
                    "only the source of a hand-over can roll it back",
                    field: "epoch",
                    remedy:
                        "there: 'berth ws send NAME --abort'; where it is lost for ever: 'berth ws take NAME --force'"
                )
            }
            let after = try await handOvers.change(id) { try $0.machine.abort() }
            handOverDesk.hurry(id)
            return reply(after)
        case .pack:
            guard record.state == .preparing else { return reply(record) }
            let named = try await handOvers.change(id) { record in
                record.peerWorkspaceID = message.workspaceId ?? record.peerWorkspaceID
            }
            var answer = reply(try await pack(named, known: message.known ?? []))
            answer.offer = try await offer(named)
            return answer
        case .decide: return try await decide(record, message)
        case .settled:
            let after = try await handOvers.change(id) { record in
                if record.state == .committed { try record.machine.finish() }
            }
            handOverDesk.hurry(id)
            return reply(after)
        case .superseded:
            guard let epoch = message.epoch else {
                throw BerthError(.missingField, "the epoch is missing", field: "epoch")
            }
            let after = try await handOvers.change(id) { try $0.machine.supersede(by: epoch) }
            handOverDesk.hurry(id)
            return reply(after)
        }
    }

    static let standardIgnoredLimit: Int64 = 100 << 20

    func reply(_ record: HandOverRecord) -> HandOverReply {
        HandOverReply(
            handOver: HandOver(record),
            location: handOvers.location,
            sha256: record.archiveDigest
        )
    }

    private func check(_ kind: HandOverMessage.Kind, _ record: HandOverRecord) throws(BerthError) {
        let side: HandOverSide? =
            switch kind {
            case .prepare, .commit: .destination
            case .pack, .decide, .settled: .source
            case .offer, .request, .abort, .superseded: nil
            }
        guard let side, side != record.side else { return }
        throw BerthError(.conflict, "this server is the \(record.side.rawValue) of \(record.id)", field: "kind")
    }

    // MARK: The destination

    private func take(offer message: HandOverMessage, _ id: HandOverID, _ wish: HandOverWish) async throws
        -> HandOverReply
    {
        guard let offer = message.offer else {
            throw BerthError(.missingField, "the offer is missing", field: "offer")
        }
        let record = try await stage(
            id,
            offer,
            target: nil,
            peerName: message.sender ?? "another server",
            peerLocation: message.location,
            wish
        )
        var answer = reply(record)
        answer.lacks = try await handOvers.lacks(of: record, offer.details)
        if record.state == .staging { answer.known = try await tips(record) }
        return answer
    }

    /// Everything is here and durable when this returns.
    func prepare(_ record: HandOverRecord) async throws -> HandOverRecord {
        guard record.state == .staging else { return record }
        try await restore(record)
        let digest = record.archiveDigest
        return try await handOvers.change(record.id) { record in
            guard record.archiveDigest == digest else {
                throw BerthError(.conflict, "another version came meanwhile", isRetryable: true)
            }
            try record.machine.prepare()
            record.stage = "prepared"
        }
    }

    /// The source has committed: the checkout gets its place, and this server acts.
    func own(_ record: HandOverRecord) async throws -> HandOverRecord {
        guard record.state == .prepared else {
            var machine = record.machine
            try machine.own()
            return record
        }
        try await settle(record)
        let after = try await handOvers.change(record.id) { record in
            try record.machine.own()
            record.stage = "owned"
            record.failure = nil
        }
        handOverDesk.hurry(record.id)
        return after
    }

    // MARK: The source

    private func release(_ message: HandOverMessage, _ id: HandOverID, _ wish: HandOverWish) async throws
        -> HandOverReply
    {
        guard let workspace = message.workspaceId else {
            throw BerthError(.missingField, "the workspace is missing", field: "workspaceId")
        }
        let row = try await handOvers.workspace(
            workspace,
            organization: wish.organizationID,
            visibleTo: wish.ownerID
        )
        var record: HandOverRecord
        if let open = try await handOvers.open(of: row.id), open.side == .source {
            record = open
        } else {
            record = try await handOvers.begin(
                id,
                of: row.id,
                to: nil,
                peerName: message.sender ?? "another server",
                wish
            )
        }
        if let location = message.location {
            record = try await handOvers.change(record.id) { $0.peerLocation = location }
        }
        if record.state == .preparing {
            do {
                try await freeze(record)
            } catch let error as BerthError where !error.isRetryable {
                try await handOvers.change(record.id) { record in
                    try record.machine.abort()
                    record.failure = FailureReason(error)
                }
                handOverDesk.hurry(record.id)
                throw error
            }
        }
        var answer = reply(record)
        answer.offer = try await offer(record)
        return answer
    }

    /// The one decision.
    private func decide(_ record: HandOverRecord, _ message: HandOverMessage) async throws -> HandOverReply {
        guard let digest = message.sha256, digest == record.archiveDigest else {
            throw BerthError(
                .conflict,
                "the destination has another version than the one that was packed last",
                field: "sha256",
                remedy: "repeat the command",
                isRetryable: true
            )
        }
        let after = try await handOvers.change(record.id) { record in
            try record.machine.commit()
            record.stage = "handing over"
            if let location = message.location { record.peerLocation = location }
        }
        return reply(after)
    }
}

extension HandOver {
    init(_ record: HandOverRecord) {
        self.init(
            id: record.id,
            side: record.side,
            state: record.state,
            stage: record.stage,
            workspaceId: record.workspaceID,
            peerName: record.peerName,
            peerWorkspaceId: record.peerWorkspaceID,
            epoch: record.epoch,
            bytes: record.archiveBytes,
            summary: record.summary.flatMap { try? JSONValue(parsing: Array($0.utf8)) },
            failure: record.failure,
            createdAt: record.createdAt,
            stateEnteredAt: record.stateEnteredAt
        )
    }
}
