public import Base
import CPostgres

/// How a PostgreSQL database is used.
public struct PostgresConfiguration: Sendable {
    /// `postgres://user:password@host:port/database?…` as libpq takes it
    /// (https://www.postgresql.org/docs/15/libpq-connect.html), several hosts and every parameter included.
    public var url: Secret<String>
    /// Connections that write. The writes of one organization go over one of them.
    public var writers: Int
    /// Connections that read.
    public var readers: Int
    /// Prepared statements kept by each connection.
    public var statements: Int
    /// Transactions that share one commit at most.
    public var groupLimit: Int
    public var connectLimit: Duration
    /// How long a read may run.
    public var readLimit: Duration
    /// How long any statement may go without an answer before the connection is given up.
    public var silenceLimit: Duration
    /// How long a transaction tries again that loses to others.
    public var busyLimit: Duration
    /// How long to find out whether a COMMIT came through before the connection was lost.
    public var settleLimit: Duration

    /// Throws `invalid_value` for a URL that libpq does not understand; the password is in no message.
    public init(
        url: Secret<String>,
        writers: Int = 4,
        readers: Int = 4,
        statements: Int = 256,
        groupLimit: Int = 128,
        connectLimit: Duration = .seconds(5),
        readLimit: Duration = .seconds(10),
        silenceLimit: Duration = .seconds(30),
        busyLimit: Duration = .seconds(5),
        settleLimit: Duration = .seconds(10)
    ) throws(BerthError) {
        self.url = url
        self.writers = min(max(writers, 1), 32)
        self.readers = min(max(readers, 1), 32)
        self.statements = max(statements, 16)
        self.groupLimit = max(groupLimit, 1)
        self.connectLimit = connectLimit
        self.readLimit = readLimit
        self.silenceLimit = silenceLimit
        self.busyLimit = busyLimit
        self.settleLimit = settleLimit
        try Self.check(url.reveal())
    }

    private static func check(_ url: String) throws(BerthError) {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://"), !url.utf8.contains(0) else {
            throw invalid("it does not begin with postgres://")
        }
        var message: UnsafeMutablePointer<CChar>?
        if let options = PQconninfoParse(url, &message) {
            defer { PQconninfoFree(options) }
            guard ports(options).allSatisfy({ UInt16($0) ?? 0 > 0 }) else { throw invalid("its port is no number") }
            return
        }
        let text = message.map { String(cString: $0) } ?? "out of memory"
        PQfreemem(message)
        // What libpq quotes at the end may be the whole URL.
        throw invalid(text.split(separator: ": \"")[0].trimmed)
    }

    /// One for each host; libpq looks at them only when it connects.
    private static func ports(_ options: UnsafeMutablePointer<PQconninfoOption>) -> [Substring] {
        var option = options
        while let keyword = option.pointee.keyword {
            if String(cString: keyword) == "port", let value = option.pointee.val {
                return String(cString: value).split(separator: ",")
            }
            option += 1
        }
        return []
    }

    private static func invalid(_ what: String) -> BerthError {
        BerthError(
            .invalidValue,
            "the URL of the database is not understood: \(what)",
            field: "database",
            remedy: "write postgres://user:password@host:port/database; percent-encode special characters"
        )
    }
}
