import Glibc
import Synchronization

/// The only source of random numbers. Secrets take the system's; a simulation injects a seeded one.
public protocol Randomness: Sendable {
    func next() -> UInt64
    func bytes(_ count: Int) -> [UInt8]
}

extension Randomness {
    public func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count {
            withUnsafeBytes(of: next().littleEndian) { result.append(contentsOf: $0) }
        }
        result.removeLast(result.count - count)
        return result
    }

    /// Uniform in 0..<1.
    public func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// The kernel's generator, through Swift's own (getrandom(2)).
public struct SystemRandomness: Randomness {
    public init() {}

    public func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

/// The kernel's generator, asked for many numbers at once: for the ids of requests, of which each takes two. Not for
/// secrets: what is drawn and not yet used lies in memory.
public final class PooledRandomness: Randomness {
    private struct Pool {
        /// 256 bytes, what getentropy(3) gives at once.
        var numbers = InlineArray<32, UInt64>(repeating: 0)
        var left = 0
    }

    private let pool = Mutex(Pool())

    public init() {}

    public func next() -> UInt64 {
        pool.withLock { pool in
            if pool.left == 0 {
                withUnsafeMutableBytes(of: &pool.numbers) { bytes in
                    let status = getentropy(bytes.baseAddress, bytes.count)
                    precondition(status == 0, "the kernel gives no random numbers")
                }
                pool.left = pool.numbers.count
            }
            pool.left -= 1
            return pool.numbers[pool.left]
        }
    }
}

/// Repeats the same numbers for the same seed (SplitMix64). Never for secrets.
public final class SeededRandomness: Randomness {
    private let state: Mutex<UInt64>

    public init(seed: UInt64) { state = Mutex(seed) }

    public func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
