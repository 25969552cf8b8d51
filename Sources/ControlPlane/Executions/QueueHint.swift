import Synchronization

/// Whether the dispatcher's last look left anything waiting. A slot that becomes free is of no interest otherwise:
/// whoever queues an execution rings for the dispatcher anyway.
final class QueueHint: Sendable {
    private let waiting = Atomic<Bool>(true)

    var mayHaveWaiting: Bool { waiting.load(ordering: .acquiring) }

    func mayWait(_ value: Bool) { waiting.store(value, ordering: .releasing) }
}
