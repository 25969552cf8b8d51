/// Bytes on their way out. Empty, it holds no memory: a used buffer goes back to its loop.
struct OutputBuffer {
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0

    /// Of the buffers that a loop keeps for answers, which most often fit.
    static let smallCapacity = 4 * 1024
    private static let firstCapacity = 16 * 1024
    /// Of the buffer that a loop keeps for whoever writes more.
    static let spareCapacity = 64 * 1024
    /// How many small ones a loop keeps: as many answers leave at the end of a busy turn.
    static let smallLimit = 64

    var count: Int { end - start }
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { $0 + start }, count: count)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, loop: EventLoop) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        if end + bytes.count > capacity { makeRoom(bytes.count, loop: loop) }
        base?.advanced(by: end).copyMemory(from: source, byteCount: bytes.count)
        end += bytes.count
    }

    mutating func removeFirst(_ taken: Int, loop: EventLoop) {
        start += taken
        if start == end { release(to: loop) }
    }

    mutating func release(to loop: EventLoop) {
        if let base {
            if capacity == Self.smallCapacity, loop.smallOutputs.count < Self.smallLimit {
                loop.smallOutputs.append(base)
            } else if capacity == Self.spareCapacity, loop.spareOutput == nil {
                loop.spareOutput = base
            } else {
                base.deallocate()
            }
        }
        base = nil
        capacity = 0
        start = 0
        end = 0
    }

    private mutating func makeRoom(_ more: Int, loop: EventLoop) {
        let needed = count + more
        if base != nil, needed <= capacity, start >= capacity / 2 {
            base?.copyMemory(from: UnsafeRawPointer(base.unsafelyUnwrapped + start), byteCount: count)
        } else {
            var larger = needed <= Self.smallCapacity ? Self.smallCapacity : max(Self.firstCapacity, capacity)
            while larger < needed { larger *= 2 }
            let memory: UnsafeMutableRawPointer
            if larger == Self.smallCapacity, let small = loop.smallOutputs.popLast() {
                memory = small
            } else if larger > Self.smallCapacity, larger <= Self.spareCapacity, let spare = loop.spareOutput {
                loop.spareOutput = nil
                memory = spare
                larger = Self.spareCapacity
            } else {
                memory = .allocate(byteCount: larger, alignment: 16)
            }
            if let base {
                memory.copyMemory(from: base + start, byteCount: count)
                base.deallocate()
            }
            base = memory
            capacity = larger
        }
        end = count
        start = 0
    }
}
