import Base
import EventLoop
import Glibc

/// A program on a loop that logs and then ends, for the tests of what happens to lines that still wait:
/// `crash` aborts, `end` returns 7 after 2,002 lines, `long` writes a line longer than the buffer.
@main struct Main {
    static func main() {
        let scene = CommandLine.arguments.dropFirst().first ?? ""
        LoopProgram.main(name: "log-fixture") { loop in
            let log = Log(sink: LoopLogSink(), time: loop.time)
            switch scene {
            case "crash":
                log.info("first")
                log.info("second", ["number": 2])
                abort()
            case "end":
                for number in 0..<2000 { log.info("line", ["number": number]) }
                log.error("last")
                log.info("after all")
                return 7
            case "long":
                log.info("before")
                log.info("long", ["text": String(repeating: "x", count: 100_000)])
                log.info("behind")
                return 0
            default: return 64
            }
        }
    }
}
