internal import Base
internal import Glibc

/// A Python program of `Tests/Support/Peers` that prints its port first and ends when its standard input closes.
///
/// `@unchecked Sendable`: all fields are constant; `stop` runs from `deinit` alone.
public final class ScriptedPeer: @unchecked Sendable {
    public let port: Int
    private let process: pid_t
    private let input: CInt

    /// Blocks until the peer listens.
    public init(_ name: String, _ arguments: [String], testFile: StaticString = #filePath) throws {
        var toPeer: [CInt] = [0, 0]
        var fromPeer: [CInt] = [0, 0]
        guard pipe2(&toPeer, O_CLOEXEC) == 0, pipe2(&fromPeer, O_CLOEXEC) == 0 else {
            throw BerthError(.internal, "no more descriptors")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toPeer[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromPeer[1], 1)
        let words = ["python3", ProgramLocation.peer(name, testFile: testFile)] + arguments
        var vector = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var child: pid_t = 0
        let status = posix_spawnp(&child, "python3", &actions, nil, &vector, environ)
        close(toPeer[0])
        close(fromPeer[1])
        guard status == 0 else { throw BerthError(.internal, "python3 does not start: \(status)") }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(fromPeer[0], &byte, 1) == 1, byte != 10 { line.append(byte) }
        close(fromPeer[0])
        guard let port = Int(String(decoding: line, as: UTF8.self)) else {
            throw BerthError(.internal, "the peer \(name) did not start")
        }
        self.port = port
        process = child
        input = toPeer[1]
    }

    deinit {
        close(input)
        var status: CInt = 0
        waitpid(process, &status, 0)
    }
}
