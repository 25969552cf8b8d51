internal import Base
internal import EventLoop
internal import Glibc

/// TCP ports that a process and its descendants listen on, as /proc tells (proc(5)).
enum ListeningPorts {
    private static let listening = "0A"

    /// In ascending order.
    /// - Parameter look: asked for what the descriptors are of processes that this worker may not look into, as one that
    ///   is root of a container without CAP_SYS_PTRACE may not; answers with a line for each.
    @concurrent static func of(session leader: pid_t, look: @Sendable ([pid_t]) async -> String) async -> [Int] {
        let members = members(of: leader, among: processes())
        var sockets: Set<String> = []
        var closed: [pid_t] = []
        for process in members {
            if let inodes = socketInodes(of: process) { sockets.formUnion(inodes) } else { closed.append(process) }
        }
        if !closed.isEmpty {
            for line in await look(closed).split(separator: "\n") {
                if let inode = socketInode(String(line)) { sockets.insert(inode) }
            }
        }
        guard !sockets.isEmpty else { return [] }
        var ports: Set<Int> = []
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            for entry in parse(EnvironmentLayout.contents(table)) where sockets.contains(entry.inode) {
                ports.insert(entry.port)
            }
        }
        return ports.sorted()
    }

    struct Listener: Equatable {
        var port: Int
        var inode: String
    }

    /// The lines of /proc/net/tcp that listen.
    static func parse(_ table: String) -> [Listener] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 9, fields[3] == listening, let port = fields[1].split(separator: ":").last,
                let number = Int(port, radix: 16)
            else { return nil }
            return Listener(port: number, inode: String(fields[9]))
        }
    }

    struct Process {
        var id: pid_t
        var parent: pid_t
        var session: pid_t
    }

    /// Those of the leader's session, and all descendants of any of them.
    static func members(of leader: pid_t, among all: [Process]) -> [pid_t] {
        var members: Set<pid_t> = Set(all.filter { $0.id == leader || $0.session == leader }.map(\.id))
        while true {
            let more = all.filter { members.contains($0.parent) && !members.contains($0.id) }
            if more.isEmpty { return members.sorted() }
            members.formUnion(more.map(\.id))
        }
    }

    private static func processes() -> [Process] {
        entries("/proc").compactMap { name in
            guard let id = pid_t(name) else { return nil }
            let stat = EnvironmentLayout.contents("/proc/\(name)/stat")
            // Behind the name, which may hold anything: state, parent, group, session.
            guard let end = stat.lastIndex(of: ")") else { return nil }
            let fields = stat[end...].split(separator: " ")
            guard fields.count > 4, let parent = pid_t(fields[2]), let session = pid_t(fields[4]) else { return nil }
            return Process(id: id, parent: parent, session: session)
        }
    }

    /// nil where this worker may not look.
    private static func socketInodes(of process: pid_t) -> [String]? {
        let directory = "/proc/\(process)/fd"
        guard access(directory, R_OK) == 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 64)
        var inodes: [String] = []
        for name in entries(directory) {
            let count = readlink("\(directory)/\(name)", &buffer, buffer.count)
            if count < 0, errno == EACCES { return nil }
            guard count > 0 else { continue }
            if let inode = socketInode(String(decoding: buffer[..<count], as: UTF8.self)) { inodes.append(inode) }
        }
        return inodes
    }

    /// Of what a link below /proc/PID/fd says.
    static func socketInode(_ target: String) -> String? {
        guard target.hasPrefix("socket:["), target.hasSuffix("]") else { return nil }
        return String(target.dropFirst("socket:[".count).dropLast())
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// One that nobody listens on now.
    static func free() -> Int? {
        let file = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 && getsockname(file, $0, &length) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
