/// Numbers that a seed repeats (SplitMix64). Each part of a world throws its own dice, so that a fault taken out of a plan
/// changes as little as possible of the rest.
package struct Dice: Sendable {
    private var state: UInt64

    package init(_ seed: UInt64, _ parts: Int...) {
        state = seed
        for part in parts { state = Self.mix(state ^ UInt64(bitPattern: Int64(part)) &* 0x9E37_79B9_7F4A_7C15) }
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// Uniform in `range`.
    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    package mutating func chance(percent: Int) -> Bool { within(1...100) <= percent }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
