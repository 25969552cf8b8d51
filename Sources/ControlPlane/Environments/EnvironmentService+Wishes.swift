public import Base
import Database
public import Domain
import FoundationEssentials

extension EnvironmentService {
    /// Records the environment; a job makes it. Returns at once.
    public func create(_ request: NewEnvironment) async throws -> EnvironmentRecord {
        let capabilities = try validate(request)
        if let claimed = try await claimSpare(for: request) { return claimed }
        return try await insert(request, capabilities)
    }

    /// - Parameters:
    ///   - spareKey: of one that is made for nobody yet, and why.
    ///   - origin: the snapshot that it is to be made out of, on the machine where that lies.
    func insert(
        _ request: NewEnvironment,
        _ capabilities: ProviderCapabilities,
        spareKey: String? = nil,
        origin: (@Sendable (FeedTransaction) throws -> SnapshotRecord)? = nil
    ) async throws -> EnvironmentRecord {
        let id: EnvironmentID = ids.make()
        let now = time.now
        let times = times
        let name = request.name ?? Self.name(of: id, request.ownership)
        let machine = EnvironmentMachine.created(at: now, times: times)
        let limitations = try EnvironmentStore.text(
            capabilities.limitations + Self.idleLimitations(capabilities, request.autoStopMinutes)
        )
        let owner = request.ownership == .organization ? nil : request.ownerID
        do {
            let record = try await feed.transaction(organization: request.organizationID) { [self] transaction in
                let holder = owner?.text ?? request.organizationID.text
                let tier = try quotas.usage(request.organizationID, holder, in: transaction).tier
                var spec = request.spec
                // A spare is of the size that its template says, whoever's it will be.
                if spareKey == nil {
                    spec.limits = tier.granting(request.spec.limits, on: isHome ? quotas.rules.machine : nil)
                }
                let isWhole = spec.limits == request.spec.limits
                let snapshot = try origin?(transaction)
                guard isWhole || snapshot == nil else { throw Self.tooLarge(tier) }
                try transaction.run(
                    EnvironmentStore.insert,
                    id,
                    request.organizationID,
                    owner,
                    name,
                    request.ownership.rawValue,
                    request.spec.provider.rawValue,
                    try EnvironmentStore.text(spec),
                    machine.desired.rawValue,
                    machine.state.rawValue,
                    capabilities.limits.rawValue,
                    limitations,
                    now,
                    now,
                    machine.deadlineAt,
                    request.autoStopMinutes,
                    snapshot?.replicaID ?? (isHome ? replica : nil),
                    request.idleStopMinutes ?? tier.idleStopMinutes,
                    isWhole ? nil : EnvironmentStore.text(request.spec.limits),
                    request.expiresAt
                )
                if let snapshot { try transaction.run(SnapshotStore.setOrigin, id, snapshot.id) }
                if let spareKey {
                    try transaction.run(SpareStore.birth, id, spareKey)
                } else {
                    try quotas.reserve(try read(id, request.organizationID, in: transaction).record, in: transaction)
                }
                let stored = try read(id, request.organizationID, in: transaction)
                try demand(stored, at: now, in: transaction)
                let actor = spareKey == nil ? request.ownerID : nil
                transaction.record(try Self.fact("environment.requested", stored.record, by: actor, at: now))
                try tell(of: stored.record, before: nil, in: transaction)
                return stored.record
            }
            .value
            jobs.wake()
            return record
        } catch let error as BerthError where error.code == .conflict {
            throw Self.taken(name)
        }
    }

    private static func tooLarge(_ tier: Tier) -> BerthError {
        BerthError(
            .quotaExceeded,
            "it would be as large as what it is forked from, and tier '\(tier.name)' or the machine has less",
            field: "limits",
            remedy: "destroy another environment, or ask for another tier"
        )
    }

    static func name(of id: EnvironmentID, _ ownership: EnvironmentOwnership) -> String {
        ownership == .personal ? "personal" : "env-\(id.text.suffix(6))"
    }

    static func taken(_ name: String) -> BerthError {
        BerthError(
            .conflict,
            "you have an environment '\(name)' already",
            field: "name",
            remedy: "choose another name, or use the one there is"
        )
    }

    /// The user's own environment, made on first use: exactly one, however many ask at the same time.
    public func personal(_ organization: OrganizationID, user: UserID, spec: EnvironmentSpec = EnvironmentSpec())
        async throws -> EnvironmentRecord
    {
        if let known = try await findPersonal(organization, user) { return known }
        do {
            return try await create(
                NewEnvironment(organizationID: organization, ownerID: user, ownership: .personal, spec: spec)
            )
        } catch let error as BerthError where error.code == .conflict {
            // Another request came first; the unique index decided.
            guard let known = try await findPersonal(organization, user) else { throw error }
            return known
        }
    }

    func findPersonal(_ organization: OrganizationID, _ user: UserID) async throws -> EnvironmentRecord? {
        let times = times
        return try await database.read { connection in
            try connection.first(EnvironmentStore.personal, organization, user).map {
                try EnvironmentStore.stored($0, times: times).record
            }
        }
    }

    public func start(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        try await want(.running, id, organization, by: user, visibleTo)
    }

    public func resume(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        try await want(.running, id, organization, by: user, visibleTo)
    }

    public func stop(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        try await want(.stopped, id, organization, by: user, visibleTo)
    }

    /// Refused while executions run in it: their worker, frozen, would be taken for lost.
    public func pause(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        let record = try await get(id, organization: organization, visibleTo: visibleTo)
        let capabilities = try instances.capabilities(of: record.spec.provider)
        guard capabilities.pause != .none else {
            throw BerthError(
                .unsupported,
                "the provider '\(record.spec.provider)' cannot pause on this machine",
                remedy: "stop it: files are kept, processes end"
            )
        }
        // Nothing new from here on, so that the count stays true.
        workers.setDraining(true, environment: id)
        let running = try await openCount(in: record)
        guard running == 0 else {
            workers.setDraining(false, environment: id)
            throw BerthError(
                .conflict,
                "\(running) execution\(running == 1 ? " runs" : "s run") in it",
                remedy: "wait for the end or cancel with 'berth cancel', then pause"
            )
        }
        return try await want(.paused, id, organization, by: user, visibleTo)
    }

    /// From any state.
    public func destroy(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        try await want(.destroyed, id, organization, by: user, visibleTo)
    }

    /// Takes up the operation that failed.
    public func retry(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> EnvironmentRecord
    {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        return try await change(id, organization, actor: user) { machine in try machine.retry(at: now) }.record
    }

    private func want(
        _ wish: DesiredState,
        _ id: EnvironmentID,
        _ organization: OrganizationID,
        by user: UserID?,
        _ visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        // Only the end of everything breaks into what is being done.
        let after = try await change(id, organization, actor: user, interrupts: wish == .destroyed) { machine in
            try machine.want(wish, at: now)
        }
        .record
        // It was about to rest, and nothing had begun.
        if wish == .running, after.state == .running { workers.setDraining(false, environment: id) }
        return after
    }

    /// For an execution that waits: starts or resumes what rests. Returns at once; nil when it comes, or the reason why it
    /// never will.
    public func wake(_ id: EnvironmentID, organization: OrganizationID) async throws -> FailureReason? {
        let record = try await get(id, organization: organization, visibleTo: nil)
        if record.desired == .destroyed {
            return FailureReason(
                .environmentLost,
                "environment '\(record.name)' is \(record.state)",
                remedy: "use another environment"
            )
        }
        switch record.state {
        case .error:
            return FailureReason(
                record.cause?.code ?? .unavailable,
                "environment '\(record.name)' is in error: \(record.cause?.message ?? "the cause is unknown")",
                remedy: record.cause?.remedy ?? "'berth env retry \(record.name)'"
            )
        case .running where record.desired == .running, .starting, .requested, .provisioning: return nil
        default:
            do {
                _ = try await want(.running, id, organization, by: nil, nil)
            } catch let error as BerthError where error.code == .illegalTransition {
                // It moved since it was read; only an error is an answer, and that one has its own cause.
                guard try await get(id, organization: organization, visibleTo: nil).state == .error else { throw error }
                return try await wake(id, organization: organization)
            }
            return nil
        }
    }

    func validate(_ request: NewEnvironment) throws -> ProviderCapabilities {
        try request.spec.validate()
        if let name = request.name { try Self.validate(name: name) }
        if let minutes = request.autoStopMinutes, !IdlePolicy.allowedMinutes.contains(minutes) {
            throw BerthError(
                .invalidValue,
                "\(minutes) is out of range",
                field: "autoStopMinutes",
                remedy: "5 to 480 minutes, or never"
            )
        }
        if let moment = request.expiresAt, moment <= time.now {
            throw BerthError(.invalidValue, "that time has passed", field: "expiresAt", remedy: "name a later one")
        }
        let capabilities = try instances.capabilities(of: request.spec.provider)
        guard capabilities.networks.contains(request.spec.network.provided.kind) else {
            throw BerthError(
                .unsupported,
                "the provider '\(request.spec.provider)' has no network policy '\(request.spec.network.kind.rawValue)'",
                field: "network.kind",
                remedy: "it has: \(capabilities.networks.map(\.rawValue).joined(separator: ", "))"
            )
        }
        let open = capabilities.unenforced(request.spec.limits)
        guard request.spec.limitsPolicy == .bestEffort || open.isEmpty else {
            throw BerthError(
                .unsupported,
                "limits are required, and these cannot be enforced here: \(open.joined(separator: ", "))"
                    + capabilities.limitations.map { "; \($0)" }.joined(),
                field: "limitsPolicy",
                remedy: "see 'berth doctor', or accept what can be enforced with limitsPolicy bestEffort"
            )
        }
        return capabilities
    }

    private static func validate(name: String) throws(BerthError) {
        let isWellFormed =
            (1...63).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
            }
            && !name.hasPrefix("-") && !name.hasSuffix("-")
        guard isWellFormed else {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(80))' is no name for an environment",
                field: "name",
                remedy: "1 to 63 of a-z, 0-9 and '-', not at its ends"
            )
        }
        guard !["new", "personal", "mine", "provision"].contains(name) else {
            throw BerthError(
                .invalidValue,
                "'\(name)' has a meaning of its own",
                field: "name",
                remedy: "choose another"
            )
        }
    }
}
