public import Base
internal import CMemory
internal import Glibc

/// Bytes in an anonymous file in memory: input for a child, of any length, that nobody must feed and no disk sees.
/// Closed with the last reference; a child that got it keeps its own.
public final class MemoryFile: Sendable {
    /// Stands at its start.
    public let descriptor: Int32

    public init(_ bytes: [UInt8]) throws(BerthError) {
        descriptor = berth_memory_file("berth-input")
        guard descriptor >= 0 else { throw Self.full(-descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let number = errno
                close(descriptor)
                throw Self.full(number)
            }
            rest = rest.dropFirst(count)
        }
        lseek(descriptor, 0, SEEK_SET)
    }

    deinit { close(descriptor) }

    private static func full(_ number: Int32) -> BerthError {
        BerthError(
            .internal,
            "there is no memory for a program's input",
            detail: String(cString: strerror(number)),
            isRetryable: true
        )
    }
}
