internal import Base
internal import Synchronization

/// The connection whose server has taken the worker in; none while there is none.
final class LiveConnection: Sendable {
    private let connection = Mutex<LinkConnection?>(nil)

    func set(_ connection: LinkConnection?) { self.connection.withLock { $0 = connection } }

    var lastConfirmed: Uptime? {
        get async { await connection.withLock { $0 }?.lastConfirmed }
    }
}
