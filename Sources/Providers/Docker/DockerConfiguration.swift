/// Where `docker` finds its parts. Paths are absolute.
public struct DockerConfiguration: Sendable {
    /// The server's data directory; environments lie in its subdirectory `environments`.
    public var dataDirectory: String
    /// The Engine's unix socket.
    public var socket: String
    /// What environments are made of that name no image of their own.
    public var image: String
    public var programs: InstancePrograms
    /// `idBase + 65536` carries the network of the containers, as that of sandboxes.
    public var idBase: UInt32
    /// pasta (Debian package passt); nil or missing: no network but loopback.
    public var pasta: String?
    /// The tool bundle (scripts/images/tool-bundle); nil: containers have the tools of their image alone.
    public var tools: String?

    public static let defaultSocket = "/var/run/docker.sock"
    /// What scripts/images/docker imports.
    public static let defaultImage = "berth/worker-base:2"

    public init(
        dataDirectory: String,
        programs: InstancePrograms,
        socket: String = Self.defaultSocket,
        image: String = Self.defaultImage,
        idBase: UInt32 = 1_000_000_000,
        pasta: String? = "/usr/bin/pasta"
    ) {
        self.dataDirectory = dataDirectory
        self.socket = socket
        self.image = image
        self.programs = programs
        self.idBase = idBase
        self.pasta = pasta
    }
}
