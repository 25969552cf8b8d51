/// The version both sides speak; a holder answers `hello` of another with `unsupportedVersion`.
public let holderProtocolVersion: UInt32 = 1

public enum SignalScope: UInt8, Sendable {
    /// The main process alone.
    case main = 0
    /// Its process group.
    case group = 1
    /// Every process that descends from it.
    case tree = 2
}

/// Worker to holder.
public enum Request: Equatable, Sendable {
    case hello(version: UInt32)
    case ping
    /// With one descriptor when `input` is `.descriptor`.
    case spawn(SpawnRequest)
    case list
    case descriptors(id: String)
    case signal(id: String, number: Int32, scope: SignalScope)
    /// SIGTERM to the whole tree, SIGKILL to what is left after the grace.
    case terminate(id: String, graceMs: Int32)
    case resize(id: String, columns: UInt16, rows: UInt16)
    case closeInput(id: String)
    /// The worker has stored the exit durably and needs neither it nor the descriptors any more.
    case forget(id: String)
}

/// Which end of a child's streams a descriptor is.
public enum DescriptorRole: UInt8, Sendable {
    case input = 0
    case output = 1
    case error = 2
    /// A terminal's master.
    case terminal = 3
    /// The pipe between a terminal and its file: bytes go master → `tunnelIn` → `tunnelOut` → file by splice(2), so that a
    /// reader killed half-way leaves them in the pipe.
    case tunnelIn = 4
    case tunnelOut = 5
}

/// Holder to worker, each answering one request by its number.
public enum Reply: Equatable, Sendable {
    case done
    case hello(version: UInt32, holderPID: Int32)
    /// With the child's descriptors, in the order of the roles.
    case child(ChildStatus, roles: [DescriptorRole])
    case children([ChildStatus])
    case failure(Failure)
}

/// Holder to every connected worker, unasked.
public enum HolderEvent: Equatable, Sendable {
    case exited(ChildStatus)
}

/// Everything that travels from holder to worker.
public enum HolderMessage: Equatable, Sendable {
    case reply(Reply, to: UInt64)
    case event(HolderEvent)
}
