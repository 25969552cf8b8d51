import Base
import Database
import Domain

// Machines that wait. A spare is a row like any other, of the deployment's own organization and nobody's: the same jobs
// make it and the same reconciler watches it. A claim changes whose it is, and nothing of the machine.
extension EnvironmentService {
    /// How long a spare's worker may take to answer a claim.
    static let claimTime = Duration.seconds(2)

    /// Spares that run and wait here.
    public var readySpares: Int { pool.count }

    /// A running spare that fits, made the caller's; nil where there is none. The worker has answered before the row
    /// changes, so one that is broken is never handed out.
    func claimSpare(for request: NewEnvironment) async throws -> EnvironmentRecord? {
        // A spare has no end.
        guard pool.count > 0, request.expiresAt == nil else { return nil }
        let spec = try await granted(request)
        guard let key = try spareKey(of: spec), pool.count(key) > 0 else { return nil }
        // A spare that was told of its claim is nobody else's any more, so what is known to fail costs none.
        if let name = request.name, try await isTaken(name, request) { throw Self.taken(name) }
        while let spare = pool.take(key) {
            do {
                try await workers.claim(environment: spare.id, instance: spare.instance, within: Self.claimTime)
                let record = try await own(spare, request, spec)
                pool.bell.ring()
                return record
            } catch {
                await discard(spare, BerthError(wrapping: error))
                try Task.checkCancellation()
                guard let error = error as? BerthError else { continue }
                // Another spare would not help.
                if error.code == .conflict, let name = request.name { throw Self.taken(name) }
                if error.code == .conflict || error.code == .quotaExceeded { throw error }
            }
        }
        return nil
    }

    /// What a spare of this specification is made from; nil where none is kept.
    func spareKey(of spec: EnvironmentSpec) throws -> String? {
        guard let spares, spares.templates.contains(where: { $0.spec == spec && $0.count > 0 }) else { return nil }
        return try templateKey(spec)
    }

    private func templateKey(_ spec: EnvironmentSpec) throws -> String {
        try EnvironmentStore.text(spec) + "\n" + instances.template(of: spec.provider)
    }

    /// As the caller's tier and the machine grant it: spares are of the sizes of tiers.
    private func granted(_ request: NewEnvironment) async throws -> EnvironmentSpec {
        let holder = request.ownership == .organization ? request.organizationID.text : request.ownerID.text
        let tier = try await database.read { [self] in
            try quotas.usage(request.organizationID, holder, in: $0).tier
        }
        var spec = request.spec
        spec.limits = tier.granting(spec.limits, on: isHome ? quotas.rules.machine : nil)
        return spec
    }

    private func isTaken(_ name: String, _ request: NewEnvironment) async throws -> Bool {
        try await database.read {
            try $0.first(EnvironmentStore.byName, request.organizationID, request.ownerID, name) != nil
        }
    }

    private func own(_ spare: WarmPool.Spare, _ request: NewEnvironment, _ granted: EnvironmentSpec) async throws
        -> EnvironmentRecord
    {
        let owner = request.ownership == .organization ? nil : request.ownerID
        let name = request.name ?? Self.name(of: spare.id, request.ownership)
        let now = time.now
        let organization = request.organizationID
        let record = try await feed.transaction(organization: organization) { [self] transaction in
            let changed = try transaction.run(
                SpareStore.claim,
                spare.id,
                spare.instance,
                organization,
                owner,
                name,
                request.ownership.rawValue,
                request.autoStopMinutes,
                now,
                request.idleStopMinutes,
                try granted.limits == request.spec.limits ? nil : EnvironmentStore.text(request.spec.limits)
            )
            guard changed == 1 else { throw BerthError(.stale, "spare \(spare.id) is no longer there") }
            try workers.hand(spare.id, to: organization, owner: owner, in: transaction)
            try transaction.run(SpareStore.forgetLog, spare.id)
            try quotas.reserve(try read(spare.id, organization, in: transaction).record, in: transaction)
            let record = try read(spare.id, organization, in: transaction).record
            try provisioningLog.add(.success, "running: a machine that waited was taken", to: spare.id, in: transaction)
            transaction.record(try Self.fact("environment.claimed", record, by: request.ownerID, at: now))
            return record
        }
        .value
        await workers.handed(spare.id, instance: spare.instance, to: organization, owner: owner)
        await tell(record)
        return record
    }

    /// Of no use any more: destroyed by its job, and replaced.
    private func discard(_ spare: WarmPool.Spare, _ error: BerthError) async {
        log.warning("spare not handed out", ["environment_id": spare.id, "code": error.code, "error": error.message])
        let now = time.now
        _ = try? await change(spare.id, spare.organizationID, interrupts: true) { try $0.want(.destroyed, at: now) }
        pool.bell.ring()
    }
}

// Keeping them: takes no input, may be run at any time, any number of times.
extension EnvironmentService {
    func spareLoop() async throws {
        guard isHome else { return }
        pool.load(try await spareRecords())
        while true {
            let count = pool.bell.count
            do {
                try await fillPool()
            } catch {
                try Task.checkCancellation()
                log.error("spares not kept", ["error": "\(error)"])
            }
            try await pool.bell.wait(after: count, until: time.uptime + .seconds(30), time: time)
            // Claims come in bursts: what is new would take the processors from them.
            if pool.bell.count > count { try await time.wait(for: .milliseconds(500)) }
        }
    }

    private func spareRecords() async throws -> [EnvironmentRecord] {
        let times = times
        let replica = replica
        return try await database.read { connection in
            try connection.rows(SpareStore.all, replica).map { try EnvironmentStore.stored($0, times: times).record }
        }
    }

    /// As many of each template as configured; what is left of another template, or is broken, goes.
    public func fillPool() async throws {
        var wanted: [String: SpareTemplate] = [:]
        for template in spares?.templates ?? [] where template.count > 0 {
            let key = try templateKey(template.spec)
            wanted[key] = SpareTemplate(spec: template.spec, count: template.count + (wanted[key]?.count ?? 0))
        }
        var found: [String: Int] = [:]
        for record in try await spareRecords() where record.desired != .destroyed {
            let key = record.spareKey ?? ""
            if isUseful(record), found[key, default: 0] < wanted[key]?.count ?? 0 {
                found[key, default: 0] += 1
            } else {
                if record.state == .error { pool.failed(key, at: time.uptime) }
                let now = time.now
                try await change(record.id, record.organizationID, interrupts: true) {
                    try $0.want(.destroyed, at: now)
                }
            }
        }
        for (key, template) in wanted.sorted(by: { $0.key < $1.key }) where pool.mayMake(key, at: time.uptime) {
            for _ in found[key, default: 0]..<max(template.count, found[key, default: 0]) {
                try await makeSpare(template.spec, key)
            }
        }
        jobs.wake()
    }

    private func isUseful(_ record: EnvironmentRecord) -> Bool {
        guard record.desired == .running else { return false }
        switch record.state {
        case .requested, .provisioning, .starting: return true
        case .running:
            return workers.isReady(environment: record.id, instance: record.instance)
                || time.uptime - pool.beganAt < Self.patience
        case .pausing, .paused, .stopping, .stopped, .destroying, .destroyed, .error: return false
        }
    }

    /// How long after its start the server waits for workers to come back.
    private static let patience = Duration.seconds(60)

    private func makeSpare(_ spec: EnvironmentSpec, _ key: String) async throws {
        guard let spares else { return }
        let request = NewEnvironment(
            organizationID: spares.organizationID,
            ownerID: spares.userID,
            ownership: .organization,
            spec: spec,
            autoStopMinutes: nil
        )
        _ = try await insert(request, try validate(request), spareKey: key)
    }
}
