import Base
import Glibc
import OutputStore

func makeKey(_ stream: OutputStream = .stdout) -> OutputKey {
    let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    return OutputKey(executionID: ids.make(), attempt: 1, stream: stream)
}

/// Bytes whose value depends on their offset, so that a loss or a repetition shows.
func pattern(_ range: Range<Int>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 8) &* 7 &+ ($0 >> 16)) }
}

struct Pipe {
    var read: Int32
    var write: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0)
        (read, write) = (ends[0], ends[1])
    }

    func fill(_ bytes: [UInt8]) { precondition(Glibc.write(write, bytes, bytes.count) == bytes.count) }
}
