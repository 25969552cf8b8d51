internal import Base
internal import Domain
internal import EventLoop
internal import FoundationEssentials
internal import Glibc

/// What `local` and `host` have in common: environments as directories, one monitor and one holder each, found again by
/// their records. Nothing is kept in memory.
struct InstanceHouse: Sendable {
    let kind: ProviderKind
    /// Resolved path of the directory of environments.
    let root: String
    let launcher: Launcher
    let loop: EventLoop
    let time: any TimeSource
    let groups: ControlGroups?

    func directory(_ environmentID: EnvironmentID) -> EnvironmentDirectory {
        EnvironmentDirectory(root: root, environmentID)
    }

    // MARK: - Making and starting

    /// Whether the environment is there with this very request; `conflict` when with another.
    func exists(_ request: InstanceRequest) throws(BerthError) -> Bool {
        guard let kept = try directory(request.environmentID).kept() else { return false }
        guard kept == EnvironmentDirectory.Kept(provider: kind, request: request) else {
            throw BerthError(.conflict, "\(request.environmentID) exists with another specification")
        }
        return true
    }

    /// From here on the environment exists.
    func keep(_ request: InstanceRequest) throws {
        try directory(request.environmentID).write(EnvironmentDirectory.Kept(provider: kind, request: request))
    }

    /// The request of an environment of this provider.
    func request(_ environmentID: EnvironmentID) throws(BerthError) -> InstanceRequest {
        guard let kept = try directory(environmentID).kept(), kept.provider == kind else {
            throw BerthError(.notFound, "there is no environment \(environmentID) on the provider '\(kind)'")
        }
        return kept.request
    }

    /// Boots one incarnation with the specification that `plan` makes of the environment.
    func start(
        _ instance: InstanceReference,
        _ launch: WorkerLaunch,
        limits: (InstanceRequest) -> ResourceLimits = \.limits,
        plan: (EnvironmentDirectory, InstanceRequest) throws -> LaunchSpec
    ) async throws -> InstanceObservation {
        let directory = directory(instance.environmentID)
        let request = try request(instance.environmentID)
        guard try mayStart(instance) else { return try inspect(instance.environmentID) }
        // What another incarnation left, where its monitor could not clear it away.
        if let old = directory.record() { try await end(old, of: instance.environmentID, grace: .zero) }
        try directory.writeToken(launch.token)
        directory.trimLog()
        let spec = try plan(directory, request)
        try groups?.prepare(instance.environmentID, limits(request))
        do {
            try await launcher.launch(spec, logPath: directory.log)
        } catch let error as BerthError where error.code == .illegalTransition {
            // Somebody else holds the lock; when they boot this very incarnation, theirs is the answer.
            guard try await appears(instance, in: directory) else { throw error }
        } catch {
            try? await groups?.remove(instance.environmentID, time: time)
            throw error
        }
        return try inspect(instance.environmentID)
    }

    /// Whether another launch, which holds the environment's lock, brings up `instance`.
    private func appears(_ instance: InstanceReference, in directory: EnvironmentDirectory) async throws -> Bool {
        let deadline = time.uptime + .seconds(5)
        repeat {
            if let record = directory.record(), record.instance == instance.instance, record.isHolderAlive {
                return true
            }
            try await time.wait(for: .milliseconds(5))
        } while time.uptime < deadline
        return false
    }

    // MARK: - Looking

    func inspect(_ environmentID: EnvironmentID) throws(BerthError) -> InstanceObservation {
        let request = try request(environmentID)
        return observe(directory(environmentID), label: request.label)
    }

    func list(label: String) throws(BerthError) -> [InstanceObservation] {
        var found: [InstanceObservation] = []
        for directory in EnvironmentDirectory.all(root: root) {
            guard let kept = try directory.kept(), kept.provider == kind, kept.request.label == label else { continue }
            found.append(observe(directory, label: label))
        }
        return found
    }

    private func observe(_ directory: EnvironmentDirectory, label: String) -> InstanceObservation {
        var observation = InstanceObservation(
            environmentID: directory.environmentID,
            instance: nil,
            label: label,
            state: .created,
            holderPID: nil
        )
        guard let record = directory.record() else { return observation }
        observation.instance = record.instance
        if record.isHolderAlive {
            observation.state = groups?.isFrozen(directory.environmentID) == true ? .paused : .running
            observation.holderPID = record.holder.pid
        } else if let exit = directory.exit(), exit.instance == record.instance {
            observation.state = .stopped(exit.end)
        } else {
            observation.state = .stopped(.unknown)
        }
        return observation
    }

    // MARK: - Fences

    func record(of reference: InstanceReference) throws(BerthError) -> InstanceRecord? {
        try directory(reference.environmentID).record(of: reference)
    }

    /// As ``record(of:)``, for a call that needs the instance to live.
    func livingRecord(of reference: InstanceReference, to verb: String) throws(BerthError) -> InstanceRecord {
        _ = try request(reference.environmentID)
        guard let record = try record(of: reference), record.isHolderAlive else {
            throw BerthError(
                .illegalTransition,
                "\(reference.environmentID) is not running, so it cannot \(verb)",
                remedy: "start it first"
            )
        }
        return record
    }

    /// Whether `reference` may be booted now; false when it already runs.
    func mayStart(_ reference: InstanceReference) throws(BerthError) -> Bool {
        guard let record = directory(reference.environmentID).record() else { return true }
        let isAlive = record.isHolderAlive
        if reference.instance == record.instance, isAlive { return false }
        if reference.instance <= record.instance {
            throw BerthError(
                .stale,
                "instance \(reference.instance) of \(reference.environmentID) has been; the last is \(record.instance)"
            )
        }
        if isAlive {
            throw BerthError(
                .illegalTransition,
                "instance \(record.instance) of \(reference.environmentID) still runs",
                remedy: "stop it first"
            )
        }
        return true
    }

    // MARK: - Ending

    func stop(_ instance: InstanceReference, grace: Duration) async throws {
        _ = try request(instance.environmentID)
        guard let record = try record(of: instance) else { return }
        try await end(record, of: instance.environmentID, grace: grace)
    }

    /// Holder first, politely for `grace`; then by force, then everything around it.
    func end(_ record: InstanceRecord, of environmentID: EnvironmentID, grace: Duration) async throws {
        if record.isHolderAlive {
            if grace > .zero {
                record.holder.signal(SIGTERM)
                // A frozen process takes its signal once it thaws.
                try await groups?.thaw(environmentID, time: time)
            }
            if try await !record.holder.ends(within: grace, time: time, loop: loop) {
                record.holder.signal(SIGKILL)
                try await groups?.thaw(environmentID, time: time)
                guard try await record.holder.ends(within: .seconds(10), time: time, loop: loop) else {
                    throw BerthError(
                        .internal,
                        "the holder of \(environmentID) (process \(record.holder.pid)) does not die",
                        isRetryable: true
                    )
                }
            }
        }
        guard record.isOfThisBoot else { return }
        // The monitor clears away network, leftovers and control groups; without it, it is done here.
        if try await !record.monitor.ends(within: .seconds(5), time: time, loop: loop) {
            record.monitor.signal(SIGKILL)
        }
        record.network?.signal(SIGKILL)
        try await groups?.remove(environmentID, time: time)
    }

    /// Everything, in whatever state it is. The fence still holds: a stale caller destroys nothing.
    func destroy(_ reference: InstanceReference, removal: (EnvironmentDirectory) -> LaunchSpec) async throws {
        let directory = directory(reference.environmentID)
        // A specification that is missing or cannot be read keeps nobody from removing the rest.
        if let kept = try? directory.kept(), kept.provider != kind { return }
        if let record = directory.record() {
            guard reference.instance >= record.instance else {
                _ = try self.record(of: reference)
                return
            }
            try await end(record, of: reference.environmentID, grace: .zero)
        }
        try await directory.remove(with: launcher) { $0 = removal(directory) }
    }
}
