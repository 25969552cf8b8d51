/// Where `microvm` finds its parts. Paths are absolute.
public struct MicroVMConfiguration: Sendable {
    /// The server's data directory; environments lie in its subdirectory `environments`, disks of programs and agents in
    /// `microvm`, snapshots in `snapshots`.
    public var dataDirectory: String
    /// Kernel, initial root and disk (scripts/images/microvm).
    public var images: String
    public var programs: InstancePrograms
    /// As for ``LocalConfiguration/idBase``: QEMU is confined like a sandbox.
    public var idBase: UInt32
    public var pasta: String?
    /// Debian package qemu-system-x86.
    public var qemu: String
    /// Debian package qemu-utils.
    public var qemuImage: String

    public init(
        dataDirectory: String,
        images: String,
        programs: InstancePrograms,
        idBase: UInt32 = 1_000_000_000,
        pasta: String? = "/usr/bin/pasta",
        qemu: String = "/usr/bin/qemu-system-x86_64",
        qemuImage: String = "/usr/bin/qemu-img"
    ) {
        self.dataDirectory = dataDirectory
        self.images = images
        self.programs = programs
        self.idBase = idBase
        self.pasta = pasta
        self.qemu = qemu
        self.qemuImage = qemuImage
    }
}
