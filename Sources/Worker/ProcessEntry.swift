internal import Base
internal import Glibc

/// A process as /proc tells of it (proc(5)).
struct ProcessEntry: Sendable {
    var id: pid_t
    var parent: pid_t
    var user: UInt32
    var state: String
    /// Of its own time.
    var ticks: Int64
    /// Since the machine's boot.
    var startTicks: Int64
    /// Resident.
    var pages: Int64
    var command: String

    static func all() -> [ProcessEntry] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var entries: [ProcessEntry] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let id = pid_t(name), let process = ProcessEntry(id) { entries.append(process) }
        }
        return entries
    }

    /// nil for one that has gone.
    private init?(_ id: pid_t) {
        let line = EnvironmentLayout.contents("/proc/\(id)/stat")
        var status = stat()
        // The name, in brackets, may hold anything.
        guard let open = line.firstIndex(of: "("), let close = line.lastIndex(of: ")"),
            stat("/proc/\(id)", &status) == 0
        else { return nil }
        let fields = line[line.index(after: close)...].split(separator: " ")
        guard fields.count > 21, let parent = pid_t(fields[1]) else { return nil }
        self.id = id
        self.parent = parent
        user = status.st_uid
        state = String(fields[0])
        ticks = (Int64(fields[11]) ?? 0) + (Int64(fields[12]) ?? 0)
        startTicks = Int64(fields[19]) ?? 0
        pages = Int64(fields[21]) ?? 0
        let words = EnvironmentLayout.contents("/proc/\(id)/cmdline").split(separator: "\0").joined(separator: " ")
        // A program that has ended, or a thread of the kernel's, has no arguments.
        command = words.isEmpty ? "[\(line[line.index(after: open)..<close])]" : String(words.prefix(4096))
    }
}
