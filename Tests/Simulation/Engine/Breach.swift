/// A rule that did not hold.
package struct Breach: Error, Sendable, CustomStringConvertible {
    /// The rule's name; the same for every schedule that breaks it.
    package var rule: String
    package var words: String

    package var description: String { "\(rule): \(words)" }
}

/// The server's process ends here, with whatever it had not stored.
struct ServerDied: Error {}
