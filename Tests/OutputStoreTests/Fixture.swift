import Base
import OutputStore

func makeKey(_ stream: OutputStream = .stdout) -> OutputKey {
    let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    return OutputKey(executionID: ids.make(), attempt: 1, stream: stream)
}

/// Bytes whose value depends on their offset, so that a loss or a repetition shows.
func pattern(_ range: Range<Int>) -> [UInt8] {
    range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ ($0 >> 8) &* 7 &+ ($0 >> 16)) }
}
