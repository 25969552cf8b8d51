public import Base
internal import Glibc
internal import Synchronization

/// Log lines of one turn of a loop, in memory of its own so that they survive the program's own crash: the handler that
/// ``watchForCrashes()`` installs writes what all buffers hold before the process ends.
///
/// `@unchecked Sendable`: touched only on its loop, and by that handler when nothing else runs any more.
final class LineBuffer: @unchecked Sendable {
    private static let capacity = 32 * 1024
    private let memory: UnsafeMutableRawBufferPointer
    /// How many bytes wait, where the handler finds them.
    private let filled: UnsafeMutablePointer<Int>

    init() {
        memory = .allocate(byteCount: Self.capacity, alignment: 16)
        filled = .allocate(capacity: 1)
        filled.initialize(to: 0)
        Self.survivors.add(memory, filled)
    }

    deinit {
        Self.survivors.remove(memory)
        memory.deallocate()
        filled.deallocate()
    }

    func append(_ line: [UInt8]) {
        if filled.pointee + line.count > Self.capacity { flush() }
        guard line.count <= Self.capacity, let base = memory.baseAddress else {
            return line.withUnsafeBytes(StandardErrorSink.write)
        }
        line.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            (base + filled.pointee).copyMemory(from: source, byteCount: bytes.count)
        }
        filled.pointee += line.count
    }

    func flush() {
        guard filled.pointee > 0 else { return }
        StandardErrorSink.write(UnsafeRawBufferPointer(rebasing: memory[..<filled.pointee]))
        filled.pointee = 0
    }

    // MARK: Crashes

    private static let survivors = Survivors()

    /// Before the signal ends the process as it would have, the lines that wait are written.
    static func watchForCrashes() {
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { signal in
                LineBuffer.survivors.write()
                raise(signal)
            }
            action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND)) | CInt(SA_NODEFER)
            sigaction(signal, &action, nil)
        }
    }

    /// The buffers of all loops, read by a signal handler: plain memory, no lock and no reference count on the way.
    private final class Survivors: @unchecked Sendable {
        private typealias Entry = (base: UnsafeMutableRawPointer, filled: UnsafeMutablePointer<Int>)
        private static let limit = 64
        private let entries = UnsafeMutablePointer<Entry?>.allocate(capacity: limit)
        private let lock = Mutex(())

        init() { entries.initialize(repeating: nil, count: Self.limit) }

        func add(_ memory: UnsafeMutableRawBufferPointer, _ filled: UnsafeMutablePointer<Int>) {
            guard let base = memory.baseAddress else { return }
            lock.withLock { _ in
                // Loops beyond the limit go without.
                guard let free = (0..<Self.limit).first(where: { entries[$0] == nil }) else { return }
                entries[free] = (base, filled)
            }
        }

        func remove(_ memory: UnsafeMutableRawBufferPointer) {
            lock.withLock { _ in
                for place in 0..<Self.limit where entries[place]?.base == memory.baseAddress { entries[place] = nil }
            }
        }

        func write() {
            for place in 0..<Self.limit {
                guard let (base, filled) = entries[place], filled.pointee > 0 else { continue }
                _ = Glibc.write(2, base, filled.pointee)
                filled.pointee = 0
            }
        }
    }
}

/// Standard error for what runs on loops: the lines of one turn leave in one write. They leave before the turn's answers
/// do, so what a client was told is in the log, through a crash and a kill too; lines of level `error`, and those of
/// other threads, leave at once.
public struct LoopLogSink: LogSink {
    public init() {}

    public func write(_ line: [UInt8], _ level: LogLevel) {
        guard let loop = EventLoop.current else { return line.withUnsafeBytes(StandardErrorSink.write) }
        loop.lines.append(line)
        if level >= .error { loop.lines.flush() }
    }
}
