internal import Glibc

/// Processor time of everything beneath the holder, the worker itself left out.
enum TreeProcessorTime {
    /// Milliseconds since the holder began, of processes that have ended as well: their time goes to who waited for them.
    /// It falls back by what an ended process had that nobody waited for.
    @concurrent static func read(holder: pid_t = getppid(), worker: pid_t = getpid()) async -> Int64 {
        let processes = list()
        var children: [pid_t: [Process]] = [:]
        for process in processes where process.id != worker { children[process.parent, default: []].append(process) }
        // Of the holder's own time only what its ended children had is theirs.
        var ticks = processes.first { $0.id == holder }?.endedTicks ?? 0
        var open = children[holder] ?? []
        while let process = open.popLast() {
            ticks += process.ownTicks + process.endedTicks
            open += children[process.id] ?? []
        }
        return ticks * 1000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }

    private struct Process {
        var id: pid_t
        var parent: pid_t
        var ownTicks: Int64
        /// Of children that have ended and were waited for.
        var endedTicks: Int64

        /// A line of /proc/PID/stat (proc(5)). Behind the name, which may hold anything, come the state, the parent, and
        /// from the twelfth field on the four times.
        init?(_ id: pid_t, _ line: String) {
            guard let name = line.lastIndex(of: ")") else { return nil }
            let fields = line[name...].split(separator: " ")
            guard fields.count > 15, let parent = pid_t(fields[2]) else { return nil }
            let times = fields[12...15].compactMap { Int64($0) }
            guard times.count == 4 else { return nil }
            self.id = id
            self.parent = parent
            ownTicks = times[0] + times[1]
            endedTicks = times[2] + times[3]
        }
    }

    private static func list() -> [Process] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var processes: [Process] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let id = pid_t(name) else { continue }
            if let process = Process(id, EnvironmentLayout.contents("/proc/\(name)/stat")) { processes.append(process) }
        }
        return processes
    }
}
