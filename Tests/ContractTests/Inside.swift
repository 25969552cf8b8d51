import Base
import Domain
import Glibc
import Providers
import TestSupport
import Testing

/// Runs commands inside an instance, by way of a worker that is a small shell server. Its pipes lie in the state
/// directory, which is on the host too; what it runs is in the instance's own namespaces and control groups.
struct InsideProbe {
    /// The worker's program: takes script names from the pipe `commands` and says on the pipe `replies` when one ended.
    static let worker = """
        #!/bin/sh
        while [ $# -gt 0 ]; do
            [ "$1" = --state ] && state=$2
            shift
        done
        cd "$state" || exit 1
        mkfifo commands replies 2>/dev/null
        while read -r name <commands; do
            (cd / && exec /bin/bash "$state/$name.sh") >"$name.out" 2>"$name.err" </dev/null
            echo $? >"$name.status"
            echo "$name" >replies
        done

        """

    var reference: InstanceReference
    var holder: Int32
    /// The instance's state directory on the host.
    var state: String

    func run(_ script: String) async throws -> CommandResult {
        let name = "command\(UInt64.random(in: 0...UInt64.max))"
        let ask = """
            cd "$1" && printf '%s' "$3" >"$2.sh"
            while [ ! -p commands ] || [ ! -p replies ]; do sleep 0.01; done
            echo "$2" >commands && cat replies >/dev/null
            cat "$2.err" >&2 && cat "$2.out" && exit "$(cat "$2.status")"
            """
        let environment = ["PATH": "/usr/bin:/bin"]
        return try await TestSupport.run(["sh", "-c", ask, "sh", state, name, script], environment: environment)
    }

    func sh(_ script: String) async throws -> String { try await run(script).output.trimmed }

    func fails(_ script: String) async throws -> Bool { try await run(script).status != 0 }

    /// In how many of its periods the processor cap has held the instance back, 0 to 1.
    func throttledShare() async throws -> Double {
        let script = """
            awk -F: '$2 ~ /(^|,)cpu(,|$)/ || $1 == 0 { print $3 }' /proc/\(holder)/cgroup | while read -r group; do
                cat "/sys/fs/cgroup/cpu$group/cpu.stat" "/sys/fs/cgroup$group/cpu.stat" 2>/dev/null
            done | sort -u | awk '/^nr_/ { count[$1] += $2 } END { print count["nr_throttled"] / (count["nr_periods"] + 1) }'
            """
        return Double(try await TestSupport.run(["sh", "-c", script]).output.trimmed) ?? 0
    }
}

extension ProviderFixture {
    func inside(_ reference: InstanceReference? = nil) async throws -> InsideProbe {
        var target = reference
        if target == nil { target = try await started() }
        let known = try #require(target)
        let observation = try await provider.inspect(known.environmentID)
        return InsideProbe(
            reference: known,
            holder: try #require(observation.holderPID),
            state: "\(directory)/data/environments/\(known.environmentID)/state"
        )
    }
}

/// Answers every connection with `hello` over HTTP, on a thread of its own.
final class LoopbackListener: Sendable {
    let port: Int
    private let process: ChildProcess

    init(everywhere: Bool = false) throws {
        let script = """
            from socket import *; from sys import argv
            s = socket(); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            s.bind((argv[1], int(argv[2]))); s.listen(64)
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
