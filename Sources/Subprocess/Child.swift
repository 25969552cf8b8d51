internal import Glibc
public import HolderProtocol

/// A child as its worker holds it: what the holder said of it, and the worker's own copies of its descriptors.
public struct Child: Sendable {
    public var status: ChildStatus
    public let descriptors: ChildDescriptors
}

/// Duplicates of a child's descriptors, closed with the last reference; the holder's own stay open.
public final class ChildDescriptors: Sendable {
    private let held: [(role: DescriptorRole, descriptor: Int32)]

    init(_ held: [(role: DescriptorRole, descriptor: Int32)]) { self.held = held }

    deinit { for entry in held { close(entry.descriptor) } }

    /// Nil when the child has no such stream, or the holder has closed it.
    public subscript(role: DescriptorRole) -> Int32? {
        held.first { $0.role == role }?.descriptor
    }

    /// Where standard output (or a terminal's) comes from, nil when forgotten. Keeps these descriptors open.
    public var output: OutputSource? {
        if let master = self[.terminal], let tunnelIn = self[.tunnelIn], let tunnelOut = self[.tunnelOut] {
            return OutputSource(.terminal(master: master, tunnelIn: tunnelIn, tunnelOut: tunnelOut), owner: self)
        }
        return self[.output].map { OutputSource(.pipe($0), owner: self) }
    }

    /// Where standard error comes from, nil for a terminal. Keeps these descriptors open.
    public var error: OutputSource? { self[.error].map { OutputSource(.pipe($0), owner: self) } }
}
