internal import Base
internal import CSplice
internal import Glibc

/// A store that takes a process's bytes out of a pipe by splice(2), so that at every moment a byte is either in the pipe,
/// which the holder keeps, or in the store's file.
public protocol PipeStore: Sendable {
    /// Moves what waits in a pipe, a bounded step at a time. Throws `disk_full`; the bytes then stay in the pipe.
    func receive(fromPipe pipe: Int32) throws -> SpoolIntake
}

extension PipeStore {
    /// Moves what waits in a terminal, by way of the pipe that the holder keeps for it.
    public func receive(
        fromTerminal master: Int32,
        tunnelIn: Int32,
        tunnelOut: Int32
    ) throws -> SpoolIntake {
        // First what a killed predecessor left in the tunnel: it came earlier.
        let waiting = berth_bytes_waiting(tunnelOut)
        if waiting > 0 { return try receive(fromPipe: tunnelOut) }
        let moved = berth_splice_to_pipe(master, tunnelIn, 64 << 10)
        switch Int32(clamping: -moved) {
        case EAGAIN: return .empty
        // A terminal's master reports EIO once nobody has its slave open.
        case EIO, 0: return .ended
        case EINVAL: return try copy(fromTerminal: master, tunnelIn: tunnelIn, tunnelOut: tunnelOut)
        case let error where error > 0: throw BerthError.file("splice", "terminal", error)
        default: return try receive(fromPipe: tunnelOut)
        }
    }

    /// For kernels that cannot splice from a terminal (5.8 to 5.10): the bytes are in this process for a moment, and lost
    /// if it is killed in that one.
    private func copy(fromTerminal master: Int32, tunnelIn: Int32, tunnelOut: Int32) throws -> SpoolIntake {
        // The empty tunnel takes a page whole.
        let count = withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            let count = Glibc.read(master, buffer.baseAddress, buffer.count)
            return count > 0 ? Glibc.write(tunnelIn, buffer.baseAddress, count) : count < 0 ? -Int(errno) : 0
        }
        if count == -Int(EAGAIN) { return .empty }
        if count <= 0 { return .ended }
        return try receive(fromPipe: tunnelOut)
    }
}
