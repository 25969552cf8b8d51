import Base
internal import CUV
internal import Glibc

/// A program that lives on one loop.
public enum LoopProgram {
    /// Runs `body` on a loop of its own and ends the process with the status that it returns. The main thread only waits:
    /// an asynchronous `main` would end that thread, and unwinding it makes a static program sort all its tables (12 ms).
    public static func main(name: String, _ body: @escaping @Sendable (EventLoop) async -> Int32) -> Never {
        // Fixed, so that a freed buffer of megabytes goes back to the system: by itself glibc raises the limit to the
        // largest one it has seen and keeps what was freed.
        mallopt(M_MMAP_THRESHOLD, 512 << 10)
        // Above what one turn of a busy loop takes and frees: returned and faulted in again at each turn, those pages cost
        // a request some hundredths of its time. What is free for longer goes back below.
        mallopt(M_TRIM_THRESHOLD, 8 << 20)
        do {
            let loop = try EventLoop(name: name)
            loop.start()
            LineBuffer.watchForCrashes()
            loop.spawn {
                let status = await body(loop)
                loop.lines.flush()
                exit(status)
            }
        } catch {
            StandardErrorSink().write("\(name): \(error)")
            exit(error.code.exitStatus)
        }
        while true {
            sleep(secondsBetweenReturns)
            if mallinfo2().fordblks > freeBytesToKeep { malloc_trim(0) }
        }
    }

    /// A crowd that has gone leaves free pages between the blocks of those who stay; the allocator alone returns only
    /// what is free at a heap's end. Done on the main thread, which has nothing else to do.
    private static let secondsBetweenReturns: UInt32 = 10
    private static let freeBytesToKeep = 4 << 20
}
