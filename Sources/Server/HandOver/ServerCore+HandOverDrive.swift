import API
import Base
import Domain
import HandOvers
import Transport
import WorkerProtocol

// The loop that carries hand-overs on, here and after a restart.
extension ServerCore {
    private static let lookEvery = Duration.seconds(5)

    /// Until cancelled. Takes no input but the rows.
    func runHandOvers() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let count = handOverDesk.bell.count
                for record in try await handOvers.unsettled() where handOverDesk.take(record.id, at: time.uptime) {
                    group.addTask {
                        await self.carry(record.id)
                        self.handOverDesk.give(record.id)
                    }
                }
                try await handOverDesk.bell.wait(after: count, until: time.uptime + Self.lookEvery, time: time)
            }
        }
    }

    private func carry(_ id: HandOverID) async {
        do {
            guard let record = try await handOvers.find(id) else { return }
            if record.machine.isOpen {
                try await carry(open: record)
            } else {
                try await clear(record)
            }
        } catch {
            guard !Task.isCancelled else { return }
            let known = BerthError(wrapping: error)
            handOverDesk.pause(id, at: time.uptime, SystemRandomness())
            log.warning(
                "hand-over not carried on",
                ["hand_over_id": id, "code": known.code, "error": known.message, "detail": known.detail ?? ""]
            )
            await fail(id, known)
        }
    }

    /// A driver's step; of the other side only what silence means.
    private func carry(open record: HandOverRecord) async throws {
        let isSilent = time.now - record.progressAt > HandOverMachine.silence
        switch record.state {
        case .preparing where isSilent, .staging where isSilent:
            let error = BerthError(
                .timedOut,
                "nothing was heard of \(record.peerName) for \(HandOverMachine.silence.components.seconds) s",
                remedy: "repeat the command"
            )
            try await abort(record, error)
        case .preparing where record.isDriver: try await send(record)
        case .committed where record.isDriver: try await push(record)
        case .staging where record.isDriver, .prepared where record.isDriver: try await pull(record)
        default: break
        }
    }

    /// The reason is told in the row; before the decision one that will not pass ends the hand-over.
    private func fail(_ id: HandOverID, _ error: BerthError) async {
        guard let record = try? await handOvers.find(id), record.machine.isOpen else { return }
        let mayPass = error.isRetryable || error.code == .unavailable || error.code == .network
        let isFinal = !mayPass || error.code == .diskFull
        if isFinal, record.state == .preparing || record.state == .staging {
            try? await abort(record, error)
        } else {
            let failure = FailureReason(error)
            _ = try? await handOvers.change(id) { record in
                if record.failure != failure { record.failure = failure }
            }
        }
    }

    /// The source alone decides that; a destination forgets what it was not told to keep.
    func abort(_ record: HandOverRecord, _ error: BerthError) async throws {
        try await handOvers.change(record.id) { record in
            try record.machine.abort()
            record.failure = FailureReason(error)
            record.stage = "rolled back"
        }
        handOverDesk.hurry(record.id)
    }

    func note(_ record: HandOverRecord, _ stage: String) async throws -> HandOverRecord {
        try await handOvers.change(record.id) { record in
            record.stage = stage
            record.failure = nil
        }
    }

    func withPeer<Value: Sendable>(
        _ record: HandOverRecord,
        _ body: (PeerServer) async throws -> Value
    ) async throws -> Value {
        guard let token = try handOvers.token(of: record) else {
            throw BerthError(
                .unauthenticated,
                "the key for \(record.peerName) is not kept any more",
                remedy: "repeat the command, which brings it again"
            )
        }
        let peer = try PeerServer(record, token: token, trust: forward.trust, loop: handOverDesk.loop)
        do {
            let value = try await body(peer)
            await peer.close()
            return value
        } catch {
            await peer.close()
            throw error
        }
    }

    func message(_ kind: HandOverMessage.Kind, _ record: HandOverRecord) -> HandOverMessage {
        var message = HandOverMessage(kind)
        message.location = handOvers.location
        message.sha256 = record.archiveDigest
        message.bytes = record.archiveBytes
        message.includeIgnored = record.includesIgnored
        message.ignoredLimitBytes = record.ignoredLimit
        message.workspaceId = record.workspaceID
        return message
    }

    // MARK: The source drives

    private func send(_ given: HandOverRecord) async throws {
        try await withPeer(given) { peer in
            var record = try await note(given, "asking")
            var offering = message(.offer, record)
            offering.offer = try await offer(record)
            let answer = try await peer.tell(record.id, offering)
            if try await yielded(record, to: answer) { return }
            let (other, location) = (answer.handOver.workspaceId, answer.location)
            record = try await handOvers.change(record.id) { record in
                record.peerWorkspaceID = other
                record.peerLocation = location
            }
            if answer.handOver.state == .aborted {
                throw BerthError(.conflict, "\(record.peerName) has given up", remedy: "repeat the command")
            }
            // It came so far before: what it has must be what was packed last.
            let isPrepared = answer.handOver.state == .prepared && answer.sha256 == record.archiveDigest
            if !isPrepared {
                record = try await note(record, "freezing")
                try await freeze(record)
                record = try await note(record, "packing")
                record = try await pack(record, known: answer.known ?? [], answer.lacks)
                record = try await note(record, "sending")
                try await deliver(record, to: peer)
                record = try await note(record, "restoring")
                let prepared = try await peer.tell(record.id, message(.prepare, record))
                guard prepared.handOver.state == .prepared, prepared.sha256 == record.archiveDigest else {
                    throw BerthError(.conflict, "\(record.peerName) has another version", isRetryable: true)
                }
            }
            record = try await handOvers.change(record.id) { record in
                try record.machine.commit()
                record.stage = "handing over"
            }
            try await push(record, to: peer)
        }
    }

    private func deliver(_ record: HandOverRecord, to peer: PeerServer) async throws {
        guard let file = try await handOverFiles.spool.read(record.id.text), let bytes = record.archiveBytes,
            let digest = record.archiveDigest
        else { throw BerthError(.unavailable, "the packed workspace is gone", isRetryable: true) }
        try await peer.deliver(record.id, file, bytes: bytes, sha256: digest)
    }

    private func push(_ record: HandOverRecord) async throws {
        try await withPeer(record) { try await push(record, to: $0) }
    }

    /// Tells the destination until it answers that it acts.
    private func push(_ record: HandOverRecord, to peer: PeerServer) async throws {
        let answer = try await peer.tell(record.id, message(.commit, record))
        guard answer.handOver.state == .owner || answer.handOver.epoch > record.epoch else {
            throw BerthError(.conflict, "\(record.peerName) is \(answer.handOver.state.rawValue)", isRetryable: true)
        }
        try await handOvers.change(record.id) { record in
            try record.machine.finish()
            record.stage = "done"
            record.failure = nil
        }
        handOverDesk.hurry(record.id)
    }

    /// Whether the other side was given the workspace by a person meanwhile.
    private func yielded(_ record: HandOverRecord, to answer: HandOverReply) async throws -> Bool {
        let epoch = answer.handOver.epoch
        guard epoch > record.epoch else { return false }
        try await handOvers.change(record.id) { record in
            try record.machine.supersede(by: epoch)
            record.stage = "stepping down"
        }
        handOverDesk.hurry(record.id)
        return true
    }

    // MARK: The destination drives

    private func pull(_ given: HandOverRecord) async throws {
        try await withPeer(given) { peer in
            var record = given
            if record.state == .staging {
                record = try await note(record, "asking")
                let known = try await tips(record)
                record = try await note(record, "packing")
                var packing = message(.pack, record)
                packing.known = known
                let packed = try await peer.tell(record.id, packing)
                if try await yielded(record, to: packed) { return }
                guard packed.handOver.state == .preparing, let digest = packed.sha256, let bytes = packed.handOver.bytes
                else {
                    throw BerthError(
                        .conflict,
                        "\(record.peerName) says that the hand-over is \(packed.handOver.state.rawValue)",
                        remedy: "repeat the command"
                    )
                }
                record = try await note(record, "receiving")
                _ = try await handOverFiles.spool.receive(
                    try await peer.archive(record.id),
                    as: record.id.text,
                    unique: "pull",
                    expecting: digest
                )
                let missing = try await lacks(of: record, packed.offer)
                let summary = packed.handOver.summary
                record = try await handOvers.change(record.id) { record in
                    record.archiveBytes = bytes
                    record.archiveDigest = digest
                    record.summary = missing.map { $0.told(beside: summary) } ?? summary?.text
                    record.stage = "restoring"
                }
                record = try await prepare(record)
            }
            let decided: HandOverReply
            do {
                decided = try await peer.tell(record.id, message(.decide, record))
            } catch let error as BerthError where error.code == .notFound || error.code == .illegalTransition {
                // No record, or one that is rolled back: aborted.
                return try await abort(record, error)
            }
            if try await yielded(record, to: decided) { return }
            record = try await own(record)
            _ = try await peer.tell(record.id, message(.settled, record))
            _ = try await note(record, "done")
            handOverDesk.hurry(record.id)
        }
    }

    private func lacks(of record: HandOverRecord, _ offer: WorkspaceOffer?) async throws -> HandedLacks? {
        guard let offer else { return nil }
        return try await handOvers.lacks(of: record, offer.details)
    }

    // MARK: Afterwards

    /// Puts away what the end of a hand-over leaves: keys, packed files, frozen marks, earlier versions.
    private func clear(_ record: HandOverRecord) async throws {
        switch record.state {
        case .aborted where record.side == .source:
            if record.stage != "thawed" {
                // Begun anew since, it is frozen for that.
                if try await handOvers.open(of: record.workspaceID) == nil {
                    try await whereItIs { try await thaw(record) }
                }
                return handOverDesk.hurry(try await handOvers.change(record.id) { $0.stage = "thawed" }.id)
            }
            try await tellOfEnd(record, .abort)
        case .aborted: try await whereItIs { try await discard(record) }
        case .owner where record.isDriver && record.stage == "owned":
            try await withPeer(record) { peer in
                let answer = try await peer.tell(record.id, message(.settled, record))
                if try await !yielded(record, to: answer) { _ = try await note(record, "done") }
            }
            return handOverDesk.hurry(record.id)
        case .owner where record.stage == "taken", .retaken: try await tellOfEnd(record, .superseded)
        case .orphaned: try await stepDown(record)
        case .owner where time.now - record.stateEnteredAt < HandOverMachine.retention:
            return try await forgetSecrets(record)
        case .owner: try await whereItIs { try await discard(record) }
        default: break
        }
        try await handOverFiles.spool.remove(record.id.text)
        let now = time.now
        try await handOvers.change(record.id) { record in
            record.sealedToken = nil
            record.clearedAt = now
        }
    }

    /// An environment that is gone for good needs no tidying.
    private func whereItIs(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as BerthError
            where [.notFound, .illegalTransition, .environmentLost].contains(error.code)
        {
            return
        }
    }

    private func forgetSecrets(_ record: HandOverRecord) async throws {
        guard record.sealedToken != nil || record.stage != "kept" else { return }
        try await handOverFiles.spool.remove(record.id.text)
        try await handOvers.change(record.id) { record in
            record.sealedToken = nil
            record.stage = "kept"
        }
    }

    /// The other side may live on: it is told as soon as it can be reached, for as long as versions are kept.
    private func tellOfEnd(_ record: HandOverRecord, _ kind: HandOverMessage.Kind) async throws {
        guard record.isDriver, record.sealedToken != nil,
            time.now - record.stateEnteredAt < HandOverMachine.retention
        else { return }
        var telling = message(kind, record)
        telling.epoch = record.epoch
        do {
            _ = try await withPeer(record) { try await $0.tell(record.id, telling) }
        } catch let error as BerthError where !error.isRetryable && error.code != .unavailable {
            // It knows of none, has ended it by itself, or does not take the key any more.
            return
        }
    }

    private func stepDown(_ record: HandOverRecord) async throws {
        let kept = try await keepOrphan(record)
        try await handOvers.change(record.id) { record in
            record.stage = "kept as \(kept.branch)"
        }
        log.warning(
            "another server owns the workspace; this version is kept as a branch",
            ["hand_over_id": record.id, "workspace_id": record.workspaceID, "branch": kept.branch]
        )
    }
}
