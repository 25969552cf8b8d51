/// Where `local` finds its parts. Paths are absolute.
public struct LocalConfiguration: Sendable {
    /// The server's data directory; environments lie in its subdirectory `environments`.
    public var dataDirectory: String
    /// The unpacked base root (scripts/images/base-root).
    public var baseRoot: String
    public var programs: InstancePrograms
    /// As root: host ids `idBase ..< idBase + 65536` are the ids 0 ..< 65536 inside, and `idBase + 65536` owns the
    /// network of the sandboxes. Nothing else on the host may have them.
    public var idBase: UInt32
    /// pasta (Debian package passt); nil or missing: no network but loopback.
    public var pasta: String?
    /// The tool bundle (scripts/images/tool-bundle); nil: environments have the tools of their root alone.
    public var tools: String?

    public init(
        dataDirectory: String,
        baseRoot: String,
        programs: InstancePrograms,
        idBase: UInt32 = 1_000_000_000,
        pasta: String? = "/usr/bin/pasta"
    ) {
        self.dataDirectory = dataDirectory
        self.baseRoot = baseRoot
        self.programs = programs
        self.idBase = idBase
        self.pasta = pasta
    }
}

/// The programs that run in an instance. In a sandbox both must be fully static.
public struct InstancePrograms: Sendable {
    public var holder: String
    public var worker: String

    public init(holder: String, worker: String) {
        self.holder = holder
        self.worker = worker
    }
}
