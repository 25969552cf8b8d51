import Base
import EventLoop
import Glibc
import HolderProtocol
import OutputStore
import Subprocess

/// Programs that the tests of Subprocess start, and kill:
/// `generate STOPFILE` writes a known endless text until the file exists; `pump SOCKET ROOT EXECUTION CHILD HEAD` pumps the
/// child's output into a spool and ends when the output has.
@main struct Main {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "generate": generate(until: arguments[1])
        case "pump": try await pump(arguments)
        default: exit(64)
        }
    }

    /// 65,521 bytes (a prime, so that blocks fall on no other boundary).
    static let block = (0..<65_521).map { (index: Int) -> UInt8 in UInt8(33 + (index * 31 + index / 251 * 7) % 90) }

    static func generate(until stop: String) {
        while access(stop, F_OK) != 0 {
            for _ in 0..<16 {
                var rest = block[...]
                while !rest.isEmpty {
                    let count = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
                    if count < 0 { exit(1) }
                    rest = rest.dropFirst(count)
                }
            }
        }
    }

    static func pump(_ arguments: [String]) async throws {
        let loop = try EventLoop(name: "fixture")
        loop.start()
        let client = try await HolderClient.connect(to: arguments[1], loop: loop)
        let child = try await client.child(arguments[4])
        guard let source = child.descriptors.output, let head = Int64(arguments[5]) else { exit(65) }
        let key = OutputKey(executionID: try ExecutionID(arguments[3]), attempt: 1, stream: .stdout)
        let limits = SpoolLimits(headBytes: head, tailBytes: 65_536, segmentBytes: 1 << 20, slackBytes: 2 << 20)
        let spool = try Spool(root: arguments[2], key: key, limits: limits)
        // A file size limit, which stands in for a full disk, is then an error and no signal.
        signal(SIGXFSZ, SIG_IGN)
        do {
            _ = try await OutputPump(source: source, spool: spool, loop: loop).run()
        } catch let error as BerthError {
            exit(error.code.exitStatus)
        }
        withExtendedLifetime(child) {}
        await client.close()
        exit(0)
    }
}
