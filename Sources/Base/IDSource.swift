/// Makes ids from an injected clock and an injected source of randomness, so that a simulation repeats them.
public struct IDSource: Sendable {
    private let time: any TimeSource
    private let randomness: any Randomness

    public init(time: any TimeSource, randomness: any Randomness) {
        self.time = time
        self.randomness = randomness
    }

    public func make<Kind>(_: Kind.Type = Kind.self) -> Identifier<Kind> {
        let milliseconds = UInt64(max(0, time.now.milliseconds)) & 0xFFFF_FFFF_FFFF
        let high = milliseconds << 16 | randomness.next() & 0xFFFF
        return Identifier(unchecked: Crockford.text(Kind.prefix, high: high, low: randomness.next()))
    }
}
