internal import Base
internal import Domain

/// What a machine consists of: memory goes on only on the very same hardware.
struct MachineHardware: Sendable, Codable, Equatable {
    var images: String
    var accelerator: Accelerator
    var ticksPerMillisecond: Int
    var size: MachineSize
    var hasNetwork: Bool
    /// Names of the agents, in the order of their disks.
    var agents: [String]

    init(
        images: String,
        accelerator: Accelerator,
        ticksPerMillisecond: Int,
        size: MachineSize,
        hasNetwork: Bool,
        agents: [String]
    ) {
        self.images = images
        self.accelerator = accelerator
        self.ticksPerMillisecond = ticksPerMillisecond
        self.size = size
        self.hasNetwork = hasNetwork
        self.agents = agents
    }

    init(readFrom path: String) throws(BerthError) {
        guard let kept = try SmallFile.readJSON(MachineHardware.self, from: path) else {
            throw SmallFile.failure("read", path)
        }
        self = kept
    }

    func write(to path: String) throws { try SmallFile.writeJSON(self, to: path) }

    /// Refuses a request that asks for other hardware.
    func check(_ request: InstanceRequest, size wanted: MachineSize) throws(BerthError) {
        func refuse(_ field: String, _ has: String) -> BerthError {
            BerthError(
                .conflict,
                "memory can go on only on the hardware it was kept on",
                field: field,
                remedy: "the snapshot has \(has)"
            )
        }
        guard wanted.mebibytes == size.mebibytes else { throw refuse("limits.memoryBytes", "\(size.mebibytes << 20)") }
        guard wanted.processors == size.processors else { throw refuse("limits.cpus", "\(size.processors)") }
        guard wanted.diskBytes == size.diskBytes else { throw refuse("limits.diskBytes", "\(size.diskBytes)") }
        guard hasNetwork == (request.network.kind == .open) else {
            throw refuse("network.kind", hasNetwork ? "a network" : "none")
        }
    }
}
