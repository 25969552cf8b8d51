internal import CShims
internal import Glibc
internal import HolderProtocol

/// The descriptors the holder keeps for one child; closed exactly once, by ``close()`` or one at a time.
struct ChildResources {
    /// A pipe's capacity: enough that a fast writer seldom waits while its worker restarts.
    static let pipeBytes: Int32 = 256 << 10

    var id: String
    /// The guardian's socket; -1 once it has closed.
    var control: Int32 = -1
    var guardianPID: pid_t = -1
    var held: [(role: DescriptorRole, descriptor: Int32)] = []

    mutating func closeControl() {
        if control >= 0 { Glibc.close(control) }
        control = -1
    }

    mutating func close(_ role: DescriptorRole) {
        for entry in held where entry.role == role { Glibc.close(entry.descriptor) }
        held.removeAll { $0.role == role }
    }

    mutating func closeHeld() {
        for entry in held { Glibc.close(entry.descriptor) }
        held = []
    }
}

/// A failed step on the way to a fork.
struct LaunchError: Error {
    var step: SpawnStep
    var errno: Int32
}

extension ChildResources {
    /// Opens the child's streams and forks its guardian. `input` stays the caller's.
    static func launch(
        _ request: SpawnRequest,
        input: Int32?,
        hiddenPaths: [String]
    ) throws(LaunchError) -> ChildResources {
        var resources = ChildResources(id: request.id)
        var childEnds: [Int32] = []
        defer { for descriptor in childEnds { Glibc.close(descriptor) } }
        do throws(LaunchError) {
            let stdio = try resources.openStreams(request, input: input, childEnds: &childEnds)
            var pair: [Int32] = [-1, -1]
            let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw LaunchError(step: .fork, errno: errno) }
            resources.control = pair[0]
            childEnds.append(pair[1])
            let pid = request.withSpawn(stdio: stdio, hiddenPaths: hiddenPaths) { spawn in
                berth_start_guardian(spawn, pair[1])
            }
            guard pid > 0 else { throw LaunchError(step: .fork, errno: -pid) }
            resources.guardianPID = pid
            return resources
        } catch {
            resources.closeControl()
            resources.closeHeld()
            throw error
        }
    }

    /// Returns what becomes 0, 1 and 2 of the child; -1 is `/dev/null`.
    private mutating func openStreams(
        _ request: SpawnRequest,
        input: Int32?,
        childEnds: inout [Int32]
    ) throws(LaunchError) -> [Int32] {
        if case .terminal(let columns, let rows) = request.mode {
            var master: Int32 = -1
            var slave: Int32 = -1
            let result = berth_open_terminal(columns, rows, &master, &slave)
            guard result == 0 else { throw LaunchError(step: .terminal, errno: -result) }
            held.append((.terminal, master))
            childEnds.append(slave)
            let tunnel = try Self.pipe()
            held += [(.tunnelIn, tunnel.write), (.tunnelOut, tunnel.read)]
            return [slave, slave, slave]
        }
        let output = try Self.pipe()
        held.append((.output, output.read))
        childEnds.append(output.write)
        let error = try Self.pipe()
        held.append((.error, error.read))
        childEnds.append(error.write)
        // The child's ends block, as programs expect; the flag belongs to each end alone.
        for end in childEnds { _ = fcntl(end, F_SETFL, 0) }
        switch request.input {
        case .null: return [-1, output.write, error.write]
        case .descriptor: return [input ?? -1, output.write, error.write]
        case .pipe:
            let feed = try Self.pipe()
            held.append((.input, feed.write))
            childEnds.append(feed.read)
            _ = fcntl(feed.read, F_SETFL, 0)
            return [feed.read, output.write, error.write]
        }
    }

    private static func pipe() throws(LaunchError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        let result = berth_open_pipe(&ends, pipeBytes)
        guard result == 0 else { throw LaunchError(step: .standardStreams, errno: -result) }
        return (ends[0], ends[1])
    }
}

extension SpawnRequest {
    fileprivate func withSpawn<Result>(
        stdio: [Int32],
        hiddenPaths: [String],
        _ body: (UnsafePointer<berth_spawn>) -> Result
    ) -> Result {
        withCStrings(arguments) { argv in
            withCStrings(environment) { envp in
                withCStrings(hiddenPaths) { hide in
                    directory.withCString { directory in
                        var spawn = berth_spawn()
                        spawn.argv = argv
                        spawn.envp = envp
                        spawn.hide = hide
                        spawn.directory = directory
                        spawn.stdio = (stdio[0], stdio[1], stdio[2])
                        spawn.is_terminal = isTerminal ? 1 : 0
                        spawn.set_ids = user == nil ? 0 : 1
                        spawn.uid = user?.uid ?? 0
                        spawn.gid = user?.gid ?? 0
                        spawn.oom_score_adj = oomScore
                        spawn.max_processes = limits.processes ?? -1
                        spawn.max_files = limits.openFiles ?? -1
                        spawn.max_address_space = limits.addressSpaceBytes ?? -1
                        spawn.privileges = Int32(privileges.rawValue)
                        spawn.reaps_tree = reapsTree ? 1 : 0
                        return body(&spawn)
                    }
                }
            }
        }
    }
}

/// A null-terminated array of C strings for the time of `body`.
func withCStrings<Result>(
    _ texts: [String],
    _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}
