import Synchronization

/// Closes a circle between two parts that need each other: set once by the composition root, before anything runs.
final class LateBinding<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)

    func bind(_ value: Value) { stored.withLock { $0 = value } }
    var value: Value? { stored.withLock { $0 } }
}
