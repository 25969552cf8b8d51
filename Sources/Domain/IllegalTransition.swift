public import Base

extension BerthError {
    /// A state machine refuses an event: names what it is about, the state it is in and the one it was asked for.
    public static func illegal(
        _ noun: String,
        from: some CustomStringConvertible,
        to: some CustomStringConvertible,
        remedy: String? = nil
    ) -> BerthError {
        BerthError(
            .illegalTransition,
            "the \(noun) is \(from); it cannot become \(to)",
            remedy: remedy
        )
    }

    /// A write whose fence has passed: names both numbers.
    public static func stale(_ noun: String, held: some CustomStringConvertible, current: some CustomStringConvertible)
        -> BerthError
    {
        BerthError(.stale, "the \(noun) \(held) is no longer current; it is \(current) now")
    }
}
