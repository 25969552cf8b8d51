import API
import Base
import Domain
import HandOvers
import Transport

/// `/v1/hand-overs`, and what begins one.
extension ServerCore {
    func handOverSend(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let row = try await handOvers.workspace(
            try context.id("workspaceId"),
            organization: principal.organizationID,
            visibleTo: principal.userID
        )
        let body: SendWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
        let target = try Self.target(body.peer)
        let wish = HandOverWish(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            includesIgnored: body.includeIgnored ?? false,
            ignoredLimit: body.ignoredLimitBytes ?? Self.standardIgnoredLimit
        )
        let record: HandOverRecord
        if let open = try await handOvers.open(of: row.id) {
            guard open.side == .source else { throw Self.isArriving(open) }
            record = try await handOvers.renew(open.id, target)
        } else {
            record = try await handOvers.begin(
                ids.make(HandOverKind.self),
                of: row.id,
                to: target,
                peerName: target.name,
                wish
            )
        }
        handOverDesk.hurry(record.id)
        return try Self.json(HandOver(record), status: 202)
    }

    private static func isArriving(_ record: HandOverRecord) -> BerthError {
        BerthError(
            .conflict,
            "the workspace is just coming from \(record.peerName)",
            remedy: "go on with that: 'berth ws pull NAME --from \(record.peerName)'"
        )
    }

    private static func target(_ peer: HandOverPeer) throws(BerthError) -> HandOverTarget {
        _ = try PeerServer.checked(peer.url)
        return HandOverTarget(name: peer.name, url: peer.url, pin: peer.pin, token: Secret(peer.token))
    }

    func handOverPull(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let body: PullWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
        let target = try Self.target(body.peer)
        let wish = HandOverWish(
            organizationID: principal.organizationID,
            ownerID: principal.userID,
            includesIgnored: body.includeIgnored ?? false,
            ignoredLimit: body.ignoredLimitBytes ?? Self.standardIgnoredLimit
        )
        let peer = try PeerServer(target, trust: forward.trust, loop: handOverDesk.loop)
        var asking = HandOverMessage(.request)
        asking.workspaceId = body.workspaceId
        asking.location = handOvers.location
        asking.includeIgnored = wish.includesIgnored
        asking.ignoredLimitBytes = wish.ignoredLimit
        let answer: HandOverReply
        do {
            answer = try await ask(peer, asking)
            await peer.close()
        } catch {
            await peer.close()
            throw error
        }
        guard let offer = answer.offer else {
            throw BerthError(.protocolViolation, "\(target.name) made no offer")
        }
        // The hand-over that the other side has already, where one was interrupted.
        let id = answer.handOver.id
        let record: HandOverRecord
        if let known = try await handOvers.find(id), known.ownerID == principal.userID {
            record = try await handOvers.renew(known.id, target)
        } else {
            record = try await stage(
                id,
                offer,
                target: target,
                peerName: target.name,
                peerLocation: answer.location,
                wish
            )
        }
        handOverDesk.hurry(record.id)
        return try Self.json(HandOver(record), status: 202)
    }

    /// The other side may just be coming back, or still be at a step of a hand-over that was cut off.
    private func ask(_ peer: PeerServer, _ asking: HandOverMessage) async throws -> HandOverReply {
        let id = ids.make(HandOverKind.self)
        let deadline = time.uptime + .seconds(20)
        var backoff = Backoff(first: .milliseconds(200), limit: .seconds(2))
        while true {
            do {
                return try await peer.tell(id, asking)
            } catch let error as BerthError where error.code == .unavailable && time.uptime < deadline {
                try await time.wait(for: backoff.next(SystemRandomness()))
            }
        }
    }

    func handOverTake(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let row = try await handOvers.workspace(
            try context.id("workspaceId"),
            organization: principal.organizationID,
            visibleTo: principal.userID
        )
        let body: TakeWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
        guard let record = try await handOvers.latest(of: row.id) else {
            throw BerthError(.illegalTransition, "the workspace was never handed over; it is yours")
        }
        // Checked before anything is moved.
        var machine = record.machine
        try machine.take()
        guard body.force else {
            throw BerthError(
                .conflict,
                "\(record.peerName) may live on and own the workspace as well",
                field: "force",
                remedy: "only where it is lost for ever: 'berth ws take NAME --force'"
            )
        }
        if record.side == .destination { try await settle(record) } else { try await thaw(record) }
        let after = try await handOvers.change(record.id) { record in
            try record.machine.take()
            record.stage = "taken"
            record.failure = nil
            record.clearedAt = nil
        }
        context.log.warning(
            "workspace taken by force",
            [
                "workspace_id": row.id, "hand_over_id": record.id, "user_id": principal.userID,
                "epoch": after.epoch, "peer": record.peerName,
            ]
        )
        handOverDesk.hurry(record.id)
        return try Self.json(HandOver(after))
    }

    func handOverList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let records = try await handOvers.list(
            principal.organizationID,
            visibleTo: principal.userID,
            after: try context.text("cursor").map { try HandOverID($0) },
            limit: limit + 1
        )
        let page = records.prefix(limit)
        let next = records.count > limit ? page.last?.id.text : nil
        return try Self.json(Page(items: page.map(HandOver.init), nextCursor: next))
    }

    func handOverGet(_ context: RequestContext) async throws -> HTTPResponse {
        try Self.json(HandOver(try await handOver(context)))
    }

    private func handOver(_ context: RequestContext) async throws -> HandOverRecord {
        let principal = try context.principal
        return try await handOvers.get(
            try context.id("handOverId"),
            organization: principal.organizationID,
            visibleTo: principal.userID
        )
    }

    func handOverMessage(_ context: RequestContext) async throws -> HTTPResponse {
        let id: HandOverID = try context.id("handOverId")
        // Of one that is not known here, the message may be the first.
        let principal = try context.principal
        if let known = try await handOvers.find(id), known.ownerID != principal.userID {
            _ = try await handOvers.get(id, organization: principal.organizationID, visibleTo: principal.userID)
        }
        let body: HandOverMessage = try await context.body(limit: configuration.maximumBodyBytes)
        return try Self.json(try await answer(body, id, principal))
    }

    func handOverArchive(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await handOver(context)
        guard record.side == .source, record.state == .preparing else {
            throw BerthError(.conflict, "the hand-over is \(record.state.rawValue): nothing is to be fetched")
        }
        guard let response = try await handOverFiles.spool.response(record.id.text, sha256: record.archiveDigest) else {
            throw BerthError(.notFound, "the workspace is not packed yet", isRetryable: true)
        }
        return response
    }

    func handOverDeliver(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await handOver(context)
        guard record.side == .destination, record.state == .staging else {
            throw BerthError(.conflict, "the hand-over is \(record.state.rawValue): nothing is to be delivered")
        }
        try await handOverFiles.receive(context.request, record)
        return HTTPResponse(status: 204)
    }
}
