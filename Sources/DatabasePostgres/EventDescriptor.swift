import Base
import CPostgres
import Glibc

/// A descriptor that one thread sleeps on and every other can ring (eventfd(2)).
final class EventDescriptor: Sendable {
    private let descriptor: Int32

    init() throws {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw BerthError(
                .unavailable,
                "no descriptor is left for the database",
                remedy: "raise the limit of open files (ulimit -n)",
                detail: "errno \(errno)",
                isRetryable: true
            )
        }
    }

    deinit { close(descriptor) }

    func ring() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Returns when it was rung, when `other` can be read, or after `limit`.
    func wait(and other: Int32?, _ limit: Duration) {
        var descriptors = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        if let other { descriptors.append(pollfd(fd: other, events: Int16(POLLIN), revents: 0)) }
        poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: limit.wholeMilliseconds))
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}
