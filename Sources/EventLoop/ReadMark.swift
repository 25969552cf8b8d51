internal import Base
internal import Glibc

/// How many bytes a socket waits for before the kernel wakes its loop (SO_RCVLOWAT). Whoever knows that nothing can be
/// done before the rest of a message has come is woken once for it and not for each piece: to wake a sleeping loop and
/// to read costs more than to decrypt a record.
///
/// Above 1 it lasts no longer than ``patience``, so that an expectation that was wrong delays nobody noticeably.
struct ReadMark {
    private(set) var bytes = 1
    private var timer: LoopTimer?

    /// Below so many bytes it is not worth the system calls.
    private static let least = 16 * 1024
    /// What the kernel's buffer has room for in any case.
    private static let most = 208 * 1024
    private static let patience = Duration.milliseconds(1)

    /// - Parameter makeTimer: makes one that calls ``lift(on:)`` of this mark.
    mutating func set(_ wanted: Int, on descriptor: CInt, _ makeTimer: () -> LoopTimer) {
        guard wanted >= Self.least else { return lift(on: descriptor) }
        let timer = timer ?? makeTimer()
        self.timer = timer
        timer.set(after: Self.patience)
        apply(min(wanted, Self.most), to: descriptor)
    }

    /// From now on any byte wakes the loop; one that waits already does so at once.
    mutating func lift(on descriptor: CInt) {
        guard bytes > 1 else { return }
        timer?.set(nil)
        apply(1, to: descriptor)
    }

    mutating func close() {
        timer?.close()
        timer = nil
    }

    private mutating func apply(_ wanted: Int, to descriptor: CInt) {
        guard wanted != bytes else { return }
        bytes = wanted
        var mark = CInt(wanted)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &mark, socklen_t(MemoryLayout<CInt>.size))
    }
}
