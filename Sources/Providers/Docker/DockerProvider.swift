public import Base
public import Domain
public import EventLoop
internal import Glibc

/// Containers of a Docker Engine on the server's own machine, one per incarnation; the environment's files lie beside the
/// server's other ones, in a layer over the image. Nothing is kept in memory: containers are found by their labels, and
/// live on when the server dies (when the Engine does, too, where it runs with `live-restore`).
public struct DockerProvider: Provider {
    public let kind = ProviderKind.docker
    public let capabilities: ProviderCapabilities

    let configuration: DockerConfiguration
    let host: LocalHost
    let engine: DockerEngine
    /// Resolved path of the directory of environments.
    let root: String
    let launcher: Launcher
    let loop: EventLoop
    let time: any TimeSource
    let lanes = EnvironmentLanes()
    let containers = KnownContainers()
    let images = KnownImages()

    public init(_ configuration: DockerConfiguration, loop: EventLoop, time: any TimeSource) throws(BerthError) {
        let root = configuration.dataDirectory + "/environments"
        try SmallFile.makeDirectory(configuration.dataDirectory)
        try SmallFile.makeDirectory(root)
        let host = LocalHost.probe(
            LocalConfiguration(
                dataDirectory: configuration.dataDirectory,
                baseRoot: "",
                programs: configuration.programs,
                idBase: configuration.idBase,
                pasta: configuration.pasta
            )
        )
        self.configuration = configuration
        self.host = host
        self.root = try SmallFile.resolved(root)
        self.loop = loop
        self.time = time
        engine = DockerEngine(socket: configuration.socket, loop: loop)
        launcher = Launcher(program: configuration.programs.holder, loop: loop, time: time)
        capabilities = Self.capabilities(host)
    }

    /// Caps are the Engine's own; everything else is the launcher's, which works only as root.
    private static func capabilities(_ host: LocalHost) -> ProviderCapabilities {
        guard geteuid() == 0 else {
            return ProviderCapabilities(
                isolation: .namespaces,
                limits: .none,
                diskCap: false,
                pause: .none,
                networks: [.none],
                images: true,
                limitations: ["the server must run as root to prepare containers"]
            )
        }
        return ProviderCapabilities(
            isolation: .namespaces,
            limits: host.groups?.enforcement ?? .cgroup2,
            diskCap: host.makesFileSystems,
            pause: .freeze,
            networks: host.pasta == nil ? [.none] : [.none, .open],
            images: true,
            limitations: host.limitations
        )
    }

    var deployment: String { root }

    func directory(_ environmentID: EnvironmentID) -> EnvironmentDirectory {
        EnvironmentDirectory(root: root, environmentID)
    }

    /// The request of an environment of this provider; nil where it has none.
    func keptRequest(_ environmentID: EnvironmentID) throws(BerthError) -> InstanceRequest? {
        guard let kept = try directory(environmentID).kept(), kept.provider == kind else { return nil }
        return kept.request
    }

    func request(_ environmentID: EnvironmentID) throws(BerthError) -> InstanceRequest {
        guard let request = try keptRequest(environmentID) else {
            throw Self.unknown(environmentID)
        }
        return request
    }

    private static func unknown(_ environmentID: EnvironmentID) -> BerthError {
        BerthError(.notFound, "there is no environment \(environmentID) on the provider '\(ProviderKind.docker)'")
    }

    /// The environment's container, if it has one now. Another's container of the same name is nobody's.
    func container(_ environmentID: EnvironmentID) async throws -> DockerContainer? {
        guard let found = try await engine.container(DockerPlan.name(environmentID)), isOurs(found) else { return nil }
        return found
    }

    func isOurs(_ container: DockerContainer) -> Bool {
        container.isManaged && container.labels[DockerLabel.deployment] == deployment
    }

    // MARK: - Making

    public func create(_ request: InstanceRequest) async throws -> InstanceDescription {
        guard geteuid() == 0 else { throw capabilities.unsupported("prepare containers") }
        try request.check(against: capabilities)
        let directory = directory(request.environmentID)
        let description = InstanceDescription(
            environmentID: request.environmentID,
            linkSocket: directory.linkSocket,
            directory: directory.path,
            limitations: capabilities.limitations
        )
        if let kept = try directory.kept() {
            guard kept == EnvironmentDirectory.Kept(provider: kind, request: request) else {
                throw BerthError(.conflict, "\(request.environmentID) exists with another specification")
            }
            return description
        }
        try directory.checkSocketPath()
        _ = try await image(of: request)
        try directory.makeDirectories([directory.layer, directory.run, directory.state, directory.etc])
        try directory.writeNames(request)
        try directory.write(EnvironmentDirectory.Kept(provider: kind, request: request))
        return description
    }

    /// What the Engine knows of the request's image.
    func image(of request: InstanceRequest) async throws -> JSONValue {
        let name = request.image ?? configuration.image
        try DockerImageName.check(name)
        if let known = images.find(name, at: time.uptime) { return known }
        guard let image = try await engine.image(name) else { throw Self.missing(name) }
        images.note(name, image, at: time.uptime)
        return image
    }

    static func missing(_ name: String) -> BerthError {
        BerthError(
            .imageUnavailable,
            "the Docker Engine has no image '\(name)'",
            field: "image",
            remedy: name.hasPrefix("berth/") ? "run scripts/images/docker" : "docker pull or docker import it"
        )
    }

    // MARK: - Looking

    public func inspect(_ environment: EnvironmentID) async throws -> InstanceObservation {
        if let request = try keptRequest(environment) {
            return observe(environment, label: request.label, try await container(environment))
        }
        if let container = try await container(environment) { return orphan(environment, container) }
        throw Self.unknown(environment)
    }

    /// A container whose environment is unknown here: what a server that was killed had asked for, and the Engine made
    /// after the environment was destroyed. The container alone tells of it.
    private func orphan(_ environment: EnvironmentID, _ container: DockerContainer) -> InstanceObservation {
        InstanceObservation(
            environmentID: environment,
            instance: container.instance,
            label: container.labels[DockerLabel.label] ?? "",
            state: container.state,
            words: container.words
        )
    }

    /// What the container and the launcher's record say together.
    func observe(_ environment: EnvironmentID, label: String, _ container: DockerContainer?) -> InstanceObservation {
        let record = directory(environment).record()
        var observation = InstanceObservation(
            environmentID: environment,
            instance: record?.instance,
            label: label,
            state: record == nil ? .created : .stopped(.unknown)
        )
        // A container without a record waits at its gate for ever: its start was never finished.
        guard let container, let record, container.instance == record.instance else {
            if record != nil { observation.words = "its container is gone, removed by somebody else" }
            return observation
        }
        observation.state = container.state
        observation.words = container.words
        if container.isAlive { observation.holderPID = container.pid }
        return observation
    }

    public func list(label: String) async throws -> [InstanceObservation] {
        let kept = try EnvironmentDirectory.all(root: root).compactMap { directory -> EnvironmentID? in
            let kept = try directory.kept()
            return kept?.provider == kind && kept?.request.label == label ? directory.environmentID : nil
        }
        let labels = [
            "\(DockerLabel.managed)=true", "\(DockerLabel.label)=\(label)",
            "\(DockerLabel.deployment)=\(deployment)",
        ]
        let summaries: [JSONValue]
        do {
            summaries = try await engine.containers(labels: labels)
        } catch let error as BerthError where error.isRetryable && kept.isEmpty {
            // A machine without an Engine, and nothing here that would need one.
            return []
        }
        let labelled = summaries.compactMap { summary in
            DockerContainer.labels(summary["Labels"])[DockerLabel.environment].flatMap { try? EnvironmentID($0) }
        }
        var found: [InstanceObservation] = []
        for environment in Set(kept).union(labelled).sorted() {
            let container = labelled.contains(environment) ? try await container(environment) : nil
            if try keptRequest(environment) != nil {
                found.append(observe(environment, label: label, container))
            } else if let container {
                found.append(orphan(environment, container))
            }
        }
        return found
    }
}
