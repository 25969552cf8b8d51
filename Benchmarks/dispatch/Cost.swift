import Base
import Glibc

/// What something took, by the clock and in processor time of this process, user and system.
struct Cost: Sendable {
    var seconds: Double
    var processorSeconds: Double
}

struct Moment {
    private let uptime = SystemTime().uptime
    private let processorSeconds: Double

    init() {
        var used = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
        processorSeconds = Double(used.tv_sec) + Double(used.tv_nsec) / 1e9
    }

    func since(_ began: Moment) -> Cost {
        Cost(
            seconds: Double((uptime - began.uptime).wholeNanoseconds) / 1e9,
            processorSeconds: processorSeconds - began.processorSeconds
        )
    }
}
