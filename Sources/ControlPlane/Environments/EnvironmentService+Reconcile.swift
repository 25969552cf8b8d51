public import Base
import Database
import Domain
import FoundationEssentials

// The reconciler: takes no input, may be run at any time, any number of times.
extension EnvironmentService {
    func reconcileLoop() async throws {
        try await adopt()
        while true {
            do {
                try await reconcile()
            } catch {
                try Task.checkCancellation()
                log.error("reconciling failed", ["error": "\(error)"])
            }
            let count = reconcileBell.count
            try await reconcileBell.wait(after: count, until: time.uptime + .seconds(30), time: time)
            // A dying instance takes a moment until its provider knows it.
            if reconcileBell.count > count { try await time.wait(for: .milliseconds(300)) }
        }
    }

    /// Every environment of a database that no other server uses is on this machine.
    func adopt() async throws {
        guard !database.dialect.isShared else { return }
        let replica = replica
        try await database.write { try $0.run(EnvironmentStore.adopt, replica) }
    }

    /// An environment's row was changed, by its event: whoever watches it looks, and so do the job queues. What this server
    /// wrote itself is known already.
    public func heard(_ environment: EnvironmentID, organization: OrganizationID, payload: String) {
        struct Fact: Decodable {
            var version: Int64
            var desired: DesiredState
        }
        guard let fact = try? JSONDecoder().decode(Fact.self, from: Data(payload.utf8)),
            !written.isKnown(environment, fact.version)
        else { return }
        bells.ring(environment)
        jobs.wake()
        if fact.desired == .destroyed { jobs.interruptHere(environment.text) }
    }

    /// A worker's connection has ended; perhaps its instance has too.
    public func workerGone(_ environment: EnvironmentID) async { reconcileBell.ring() }

    /// Compares what the rows say with what the providers have, and makes jobs for what differs and has none.
    public func reconcile() async throws {
        try await observe()
        try await lapse()
        try await repair()
        try await reconcileSnapshots()
        try await database.write { [provisioningLog] in try provisioningLog.expire(in: $0) }
        let times = times
        let replica = replica
        let unsettled = try await database.read { connection in
            try
                (connection.rows(EnvironmentStore.unsettled, replica)
                + connection.rows(EnvironmentStore.doomed, replica)).map {
                    try EnvironmentStore.stored($0, times: times).record
                }
        }
        guard !unsettled.isEmpty else { return }
        // A job that is open has the deadline in its own hands.
        let open = try await jobs.openSubjects()
        for record in unsettled where !open.contains(record.id.text) { try await mend(record) }
        jobs.wake()
    }

    private func mend(_ record: EnvironmentRecord) async throws {
        let now = time.now
        let (id, organization) = (record.id, record.organizationID)
        do {
            try await database.write { [self] connection in
                try demand(try read(id, organization, in: connection), at: now, in: connection)
            }
            // A boot whose worker does not come.
            try await change(id, organization) { machine in
                if machine.demand(at: now) == nil { _ = machine.expire(at: now) }
            }
        } catch let error as BerthError where [.notFound, .stale].contains(error.code) {
            log.debug("environment had moved on", ["environment_id": id])
        }
    }

    /// Believes the providers about what rests. After a restart of the server this is how living instances are adopted
    /// and dead ones found.
    private func observe() async throws {
        var observed: [EnvironmentID: ObservedInstance] = [:]
        var answered: Set<ProviderKind> = []
        for provider in instances.providers() {
            do {
                for instance in try await instances.list(provider) { observed[instance.environmentID] = instance }
                answered.insert(provider)
            } catch {
                try Task.checkCancellation()
                // Silence proves nothing: its environments stay as they are.
                log.warning("provider not listed", ["provider": provider, "error": "\(error)"])
            }
        }
        let times = times
        let replica = replica
        let expected = try await database.read { connection in
            try connection.rows(EnvironmentStore.inspected, replica).map {
                try EnvironmentStore.stored($0, times: times).record
            }
        }
        for record in expected where answered.contains(record.spec.provider) {
            guard differs(observed[record.id], from: record) else { continue }
            // The list may be older than the row; asked again about this one, the answer is newer.
            do {
                try await believe(try await instances.inspect(record), of: record)
            } catch {
                try Task.checkCancellation()
                log.warning("environment not inspected", ["environment_id": record.id, "error": "\(error)"])
            }
        }
        try await removeOrphans(observed)
    }

    /// A job is at it: the provider does not have it yet.
    private func isBooting(_ record: EnvironmentRecord) async throws -> Bool {
        guard record.state == .starting else { return false }
        return try await jobs.isOpen(record.id.text)
    }

    private func differs(_ found: ObservedInstance?, from record: EnvironmentRecord) -> Bool {
        switch found?.condition {
        // Believed only when the row rests: a job that has written its step is ahead of the provider.
        case .running: record.state == .stopped || record.state == .paused
        case .paused: record.state != .paused
        case .stopped: record.state != .stopped
        case .absent, nil: true
        }
    }

    /// - Parameter isJobs: asked by the job that is at it.
    func believe(_ found: ObservedInstance, of record: EnvironmentRecord, isJobs: Bool = false) async throws {
        let condition = found.condition
        // A provider that has yet to boot this number shows the one before.
        guard condition == .absent || found.instance == nil || found.instance == record.instance else { return }
        guard differs(found, from: record) else { return }
        if !isJobs, try await isBooting(record) { return }
        let number = record.instance
        do {
            let after = try await change(
                record.id,
                record.organizationID,
                message: found.words ?? "its instance ended by itself"
            ) {
                _ = try $0.observe(condition, instance: number, words: found.words)
            }
            guard after.record.state != record.state else { return }
            log.warning(
                "environment is not what it was",
                ["environment_id": record.id, "was": record.state, "is": after.record.state]
            )
            guard condition == .stopped || condition == .absent, record.instance > 0 else { return }
            try await ended(record, found.words ?? "its environment ended")
        } catch let error as BerthError where error.code == .stale {
            log.debug("environment had moved on", ["environment_id": record.id])
        }
    }

    /// What a provider still has of a destroyed environment is removed. What no row ever knew is left alone and told of: a
    /// database that was put back to an earlier day must not cost anybody's files.
    private func removeOrphans(_ observed: [EnvironmentID: ObservedInstance]) async throws {
        for (id, instance) in observed.sorted(by: { $0.key < $1.key }) {
            let row = try await database.read { try $0.first(EnvironmentStore.fate, id) }
            if let row {
                guard try row.optionalTimestamp("deleted_at") != nil else { continue }
                guard try row.optionalID("replica_id") == replica else { continue }
                log.warning("leftovers of a destroyed environment", ["environment_id": id])
                do {
                    try await instances.removeOrphan(instance)
                } catch {
                    try Task.checkCancellation()
                    // The next pass comes again; the others are not to wait for this one.
                    log.warning("leftovers not removed", ["environment_id": id, "error": "\(error)"])
                }
            } else if reported.isNew(id) {
                log.warning("instance of an environment that is not in the database", ["environment_id": id])
            }
        }
    }
}
