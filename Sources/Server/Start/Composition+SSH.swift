import Base

// The ports of SSH logins.
extension Composition {
    func addSSH(to group: inout ThrowingTaskGroup<Void, any Error>) {
        group.addTask { [self] in try await keeping("ssh logins") { await core.sshDoors.run() } }
    }
}
