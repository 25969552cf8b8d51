internal import Base
internal import Domain
internal import Glibc

/// What limits become as hardware.
struct MachineSize: Sendable, Codable, Equatable {
    var mebibytes: Int64
    var processors: Int
    var diskBytes: Int64

    /// Where there is no limit.
    static let defaultMebibytes: Int64 = 2048
    static let defaultDiskBytes: Int64 = 64 << 30
    /// Below this the kernel and the worker do not start.
    static let leastMebibytes: Int64 = 128
    /// QEMU's own memory beside the guest's: translated code, devices, buffers.
    static let overheadBytes: Int64 = 448 << 20
    /// QEMU's threads: processors, disk requests.
    static let threads = 512

    /// - Parameter imageBytes: size of the disk that environments begin with.
    init(_ limits: ResourceLimits, imageBytes: Int64, hostProcessors: Int) throws(BerthError) {
        mebibytes = limits.memoryBytes.map { $0 >> 20 } ?? Self.defaultMebibytes
        guard mebibytes >= Self.leastMebibytes else {
            throw BerthError(
                .invalidValue,
                "a micro virtual machine does not start with \(mebibytes) MiB of memory",
                field: "limits.memoryBytes",
                remedy: "at least \(Self.leastMebibytes << 20) (\(Self.leastMebibytes) MiB)"
            )
        }
        processors = min(max(1, Int((limits.cpus ?? 1).rounded(.up))), max(1, hostProcessors))
        // As everywhere, the cap is what an environment may add to what it is made of.
        diskBytes = (imageBytes + (limits.diskBytes ?? Self.defaultDiskBytes)) & ~0xFFFF
    }

    /// The caps of QEMU's own process group.
    func hostLimits(_ limits: ResourceLimits) -> ResourceLimits {
        ResourceLimits(
            cpus: limits.cpus,
            memoryBytes: (mebibytes << 20) + Self.overheadBytes,
            diskBytes: nil,
            processes: Self.threads
        )
    }
}
