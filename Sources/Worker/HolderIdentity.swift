internal import Base
internal import Glibc

/// Tells one holder from another: the boot of the machine, and the process number and start time of the worker's parent.
enum HolderIdentity {
    static func ofParent() -> String? {
        let boot = EnvironmentLayout.contents("/proc/sys/kernel/random/boot_id").trimmed
        let parent = getppid()
        // Behind the name, which may hold anything, field 22 is the start in clock ticks since boot (proc(5)).
        let status = EnvironmentLayout.contents("/proc/\(parent)/stat")
        guard !boot.isEmpty, let name = status.lastIndex(of: ")") else { return nil }
        let fields = status[name...].split(separator: " ")
        guard fields.count > 20 else { return nil }
        return "\(boot) \(parent) \(fields[20])"
    }
}
