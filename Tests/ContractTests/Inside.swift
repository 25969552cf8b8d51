import Base
import Domain
import Glibc
import Providers
import TestSupport
import Testing

/// Runs commands inside an instance, past holder and worker: through its namespaces.
struct InsideProbe {
    var reference: InstanceReference
    var holder: Int32

    /// - Parameter joining: run within the instance's control groups too.
    func run(_ script: String, joining: Bool = false) async throws -> CommandResult {
        let join = """
            while IFS=: read -r id controllers path; do
                for root in /sys/fs/cgroup /sys/fs/cgroup/$controllers; do
                    case $path in *berth*) [ -e $root$path/cgroup.procs ] && echo $$ >$root$path/cgroup.procs;; esac
                done
            done </proc/\(holder)/cgroup

            """
        let enter = "exec nsenter -t \(holder) -U -m -u -i -n -p -r -w -S 0 -G 0 /bin/bash -c \"$1\""
        return try await TestSupport.run(
            ["bash", "-c", (joining ? join : "") + enter, "bash", "cd /; " + script],
            environment: ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
        )
    }

    func sh(_ script: String) async throws -> String {
        let result = try await run(script)
        return result.output.trimmed
    }

    func fails(_ script: String) async throws -> Bool { try await run(script).status != 0 }

    /// Whether the processor cap has held it back.
    func throttled() async throws -> Bool {
        let script = """
            cat /sys/fs/cgroup/cpu/berth/\(reference.environmentID)/cpu.stat \
                /sys/fs/cgroup/berth/\(reference.environmentID)/cpu.stat 2>/dev/null | grep nr_throttled
            """
        let line = try await TestSupport.run(["sh", "-c", script]).output
        return line.split(separator: " ").last.flatMap { Int($0.trimmed) } ?? 0 > 0
    }
}

extension ProviderFixture {
    func inside(_ reference: InstanceReference? = nil) async throws -> InsideProbe {
        var target = reference
        if target == nil { target = try await started() }
        let known = try #require(target)
        let observation = try await provider.inspect(known.environmentID)
        return InsideProbe(reference: known, holder: try #require(observation.holderPID))
    }

    /// The request that ``request(_:)`` made for this environment.
    func requestOf(_ reference: InstanceReference) -> InstanceRequest {
        InstanceRequest(
            environmentID: reference.environmentID,
            label: "test",
            limits: ResourceLimits(processes: 256),
            network: .open
        )
    }
}

/// Answers every connection with `hello` over HTTP, on a thread of its own.
final class LoopbackListener: Sendable {
    let port: Int
    private let process: ChildProcess

    init(everywhere: Bool = false) throws {
        let script = """
            import socket, sys
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(64)
            while True:
                c, _ = s.accept(); c.recv(4096)
                c.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello'); c.close()
            """
        port = try Self.freePort()
        process = try ChildProcess(["python3", "-c", script, everywhere ? "0.0.0.0" : "127.0.0.1", "\(port)"])
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound else { throw SystemFailure("bind", errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
