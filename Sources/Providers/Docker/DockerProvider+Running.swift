internal import Base
internal import Domain
internal import Glibc
internal import Transport

extension DockerProvider {
    // MARK: - Starting

    @discardableResult
    public func start(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> InstanceObservation {
        try await lanes.run(instance.environmentID) {
            try await boot(instance, try request(instance.environmentID), launch)
        }
    }

    private func boot(
        _ instance: InstanceReference,
        _ request: InstanceRequest,
        _ launch: WorkerLaunch
    ) async throws -> InstanceObservation {
        let directory = directory(instance.environmentID)
        let name = DockerPlan.name(instance.environmentID)
        async let known = image(of: request)
        // What a start that was broken off left before its record is found by the clash of names.
        let found = directory.record() == nil ? nil : try await engine.container(name)
        if let found, !isOurs(found) { throw Self.taken(name) }
        guard try mayBoot(instance, found) else {
            return observe(instance.environmentID, label: request.label, found)
        }
        // What another incarnation left, or a start that was broken off before this one was recorded.
        if found != nil { try await engine.remove(name, time: time) }
        if let record = directory.record() { try await endCarrier(record) }
        try directory.writeToken(launch.token)
        try makeGate(directory.gate)
        try makeGate(directory.workerGate)
        directory.trimLog()
        let plan = DockerPlan(
            configuration: configuration,
            host: host,
            directory: directory,
            request: request,
            deployment: deployment
        )
        let path = Self.path(of: try await known)
        let body = try plan.body(instance.instance, launch, imagePath: path)
        // Needed only once the container runs.
        async let preparation = prepare(plan, instance.instance)
        do {
            try await makeContainer(name, body, of: request)
        } catch {
            if let pending = try? await preparation { await pending.abandon() }
            throw error
        }
        do {
            try await engine.call(
                .post,
                "/containers/\(name)/start",
                within: .seconds(60),
                to: "start the container"
            )
            guard let started = try await engine.container(name), started.isAlive, started.pid > 0 else {
                throw BerthError(.unavailable, "the container ended before its worker could start", isRetryable: true)
            }
            containers.note(instance, started.id)
            try await preparation.finish(plan.place(started))
            return observe(instance.environmentID, label: request.label, started)
        } catch {
            let cause = await earlyCause(name, error)
            try? await engine.remove(name, time: time)
            if let pending = try? await preparation { await pending.abandon() }
            throw cause
        }
    }

    private func makeContainer(_ name: String, _ body: JSONValue, of request: InstanceRequest) async throws {
        let path = "/containers/create?name=\(name)"
        var answer = try await engine.ask(.post, path, body, within: .seconds(60))
        if answer.status == 409 {
            guard let left = try await engine.container(name), isOurs(left), !left.isAlive || isUnfinished(left) else {
                throw Self.taken(name)
            }
            try await engine.remove(left.id, time: time)
            answer = try await engine.ask(.post, path, body, within: .seconds(60))
        }
        guard answer.status >= 400 else { return }
        let image = request.image ?? configuration.image
        images.forget(image)
        if answer.status == 404, try await engine.image(image) == nil { throw Self.missing(image) }
        throw answer.status == 409 ? Self.taken(name) : DockerEngine.refusal(answer, to: "create a container")
    }

    /// It waits at its gate without a record.
    private func isUnfinished(_ container: DockerContainer) -> Bool {
        guard let environment = container.labels[DockerLabel.environment].flatMap({ try? EnvironmentID($0) }) else {
            return false
        }
        return directory(environment).record()?.instance != container.instance
    }

    private func prepare(_ plan: DockerPlan, _ instance: Int64) async throws -> PendingLaunch {
        try await makeDisk(plan.request, plan.directory)
        return try await PendingLaunch.begin(plan.additions(instance), by: launcher, logPath: plan.directory.log)
    }

    private func makeDisk(_ request: InstanceRequest, _ directory: EnvironmentDirectory) async throws {
        guard let size = request.limits.diskBytes, host.makesFileSystems, !SmallFile.exists(directory.disk) else {
            return
        }
        try await DiskImage.make(directory.disk, bytes: size, loop: loop)
    }

    /// Whether `instance` is to be booted now; false when it already runs.
    private func mayBoot(_ instance: InstanceReference, _ found: DockerContainer?) throws(BerthError) -> Bool {
        guard let record = directory(instance.environmentID).record() else { return true }
        let isAlive = found?.isAlive == true && found?.instance == record.instance
        if isAlive, instance.instance == record.instance { return false }
        if instance.instance <= record.instance {
            throw BerthError(
                .stale,
                "instance \(instance.instance) of \(instance.environmentID) has been; the last is \(record.instance)"
            )
        }
        guard !isAlive else {
            throw BerthError(
                .illegalTransition,
                "instance \(record.instance) of \(instance.environmentID) still runs",
                remedy: "stop it first"
            )
        }
        return true
    }

    private static func taken(_ name: String) -> BerthError {
        BerthError(
            .conflict,
            "the Docker Engine has a container '\(name)' that does not belong to this server",
            remedy: "look at it with docker inspect \(name), and rename or remove it"
        )
    }

    private static func path(of image: JSONValue) -> String? {
        let variables = image["Config"]?["Env"]?.array ?? []
        return variables.compactMap(\.string).first { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) }
    }

    /// The first process, or the worker, waits at it until the launcher is done with what it needs.
    private func makeGate(_ path: String) throws(BerthError) {
        unlink(path)
        guard mkfifo(path, 0o600) == 0 else { throw SmallFile.failure("make the pipe", path) }
    }

    /// Where the container has ended meanwhile, that is the true cause.
    private func earlyCause(_ name: String, _ error: any Error) async -> any Error {
        guard let container = try? await engine.container(name), !container.isAlive else { return error }
        if container.isOutOfMemory {
            return BerthError(
                .invalidValue,
                "the container ran out of memory before its worker could start (Docker: OOMKilled)",
                field: "limits.memoryBytes",
                remedy: "give the environment more memory"
            )
        }
        guard let words = container.words, container.status != "created" else { return error }
        let message = "the container ended before its worker could start; \(words)"
        return BerthError(.unavailable, message, isRetryable: true)
    }

    // MARK: - Pausing

    public func pause(_ instance: InstanceReference) async throws {
        try await lanes.run(instance.environmentID) {
            if try await asks(instance, to: "pause") { return }
            let container = try await living(instance, to: "pause")
            guard container.status != "paused" else { return }
            try await engine.call(.post, "/containers/\(container.id)/pause", to: "pause the container")
        }
    }

    public func resume(_ instance: InstanceReference) async throws {
        try await lanes.run(instance.environmentID) {
            if try await asks(instance, to: "unpause") { return }
            let container = try await living(instance, to: "resume")
            guard container.status == "paused" else { return }
            try await engine.call(.post, "/containers/\(container.id)/unpause", to: "resume the container")
        }
    }

    /// The call alone, without a look before it. False where it says nothing of the container, or is refused.
    private func asks(_ instance: InstanceReference, to verb: String) async throws -> Bool {
        _ = try request(instance.environmentID)
        guard try directory(instance.environmentID).record(of: instance) != nil, let id = containers.id(of: instance)
        else { return false }
        return try await engine.ask(.post, "/containers/\(id)/\(verb)").status < 300
    }

    /// The container of exactly this incarnation, alive.
    private func living(_ instance: InstanceReference, to verb: String) async throws -> DockerContainer {
        _ = try request(instance.environmentID)
        let record = try directory(instance.environmentID).record(of: instance)
        guard let record, let container = try await container(instance.environmentID), container.isAlive,
            container.instance == record.instance
        else {
            throw BerthError(
                .illegalTransition,
                "\(instance.environmentID) is not running, so it cannot \(verb)",
                remedy: "start it first"
            )
        }
        containers.note(instance, container.id)
        return container
    }

    // MARK: - Ending

    public func stop(_ instance: InstanceReference, grace: Duration) async throws {
        _ = try request(instance.environmentID)
        try await lanes.run(instance.environmentID) {
            guard let record = try directory(instance.environmentID).record(of: instance) else { return }
            if let container = try await container(instance.environmentID), container.isAlive {
                // Whole seconds: TERM to the first process, KILL after them.
                let seconds = max(0, (grace.wholeMilliseconds + 999) / 1000)
                try await engine.call(
                    .post,
                    "/containers/\(container.id)/stop?t=\(seconds)",
                    within: grace + .seconds(30),
                    accepting: [404],
                    to: "stop the container"
                )
            }
            try await endCarrier(record)
        }
    }

    /// The launcher ends by itself when the container has; what is left of it is ended here.
    private func endCarrier(_ record: InstanceRecord) async throws {
        guard record.isOfThisBoot else { return }
        if try await !record.monitor.ends(within: .seconds(5), time: time, loop: loop) {
            record.monitor.signal(SIGKILL)
        }
        record.network?.signal(SIGKILL)
    }

    public func destroy(_ instance: InstanceReference) async throws {
        try await lanes.run(instance.environmentID) {
            let directory = directory(instance.environmentID)
            containers.forget(instance.environmentID)
            if let kept = try? directory.kept(), kept.provider != kind { return }
            let record = directory.record()
            if let record, instance.instance < record.instance { _ = try directory.record(of: instance) }
            // Without a directory it is an orphan, or nothing at all.
            if let container = try await container(instance.environmentID) {
                try await engine.remove(container.id, time: time)
            }
            if let record { try await endCarrier(record) }
            try await directory.remove(with: launcher) { _ in }
        }
    }
}
