/// Who acts on a change of this server's standing; wired by the composition root.
public protocol ReplicaObserver: Sendable {
    /// Workers of a server that is gone have passed to this one: what they hold is expected here.
    func adopted() async
    /// The lease is lost: what this server holds may be another's by now. It lets go of its workers' connections.
    func stoodDown() async
}
