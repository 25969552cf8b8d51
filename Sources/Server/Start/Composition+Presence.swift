import Base
import Database
import Presence

extension Composition {
    static func presences(_ database: any SQLDatabase, _ feed: Feed, _ ids: IDSource, time: any TimeSource, log: Log)
        -> PresenceService
    {
        PresenceService(database: database, feed: feed, time: time, ids: ids, log: log)
    }

    func addPresence(to group: inout ThrowingTaskGroup<Void, any Error>) {
        group.addTask { [self] in try await keeping("presences") { try await core.presences.run() } }
    }
}
