import Base
import Database

/// What of the control plane a server does.
enum ServerRole: String, Sendable {
    case all
    /// Answers requests and workers; environments are another server's.
    case api
    /// Runs the job queues, with the environments on its machine; answers only those environments' workers and other servers.
    case jobs

    var runsJobs: Bool { self != .api }
    var answersClients: Bool { self != .jobs }

    /// A share of the work makes sense only where there are others.
    func check(_ dialect: any SQLDialect) throws(BerthError) {
        guard self == .all || dialect.isShared else {
            throw BerthError(
                .unsupported,
                "the role '\(rawValue)' needs a database that several servers share; SQLite belongs to one",
                field: "role",
                remedy: "set 'database' to a postgres:// URL, or leave the role out: one server does everything"
            )
        }
    }
}

extension Configuration {
    var role: ServerRole { text("role").flatMap { ServerRole(rawValue: $0) } ?? .all }
}
