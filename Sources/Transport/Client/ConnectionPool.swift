/// Which connections a client has to which endpoint, and who waits for one. Pure: it opens and closes nothing.
struct ConnectionPool<Key: Hashable, Connection: AnyObject> {
    /// What a request is to do for its connection.
    enum Acquisition {
        case reuse(Connection)
        /// There is room for one more: open it, and tell ``ended(_:of:)`` if that fails.
        case open
        /// All are in use: wait until this ticket is served.
        case wait(ticket: Int)
    }

    /// What becomes of a connection that has done its work.
    enum Release: Equatable {
        case serve(ticket: Int)
        case keep
        case close
    }

    private struct Place {
        /// The one used last is at the end, and used again first.
        var idle: [Connection] = []
        /// Open or being opened, idle ones included.
        var count = 0
        var waiting: [Int] = []
    }

    private let maximum: Int
    private let maximumIdle: Int
    private var places: [Key: Place] = [:]
    private var nextTicket = 0

    init(maximum: Int, maximumIdle: Int) {
        self.maximum = max(1, maximum)
        self.maximumIdle = maximumIdle
    }

    mutating func acquire(_ key: Key) -> Acquisition {
        var place = places[key] ?? Place()
        defer { places[key] = place }
        if let connection = place.idle.popLast() { return .reuse(connection) }
        if place.count < maximum {
            place.count += 1
            return .open
        }
        nextTicket += 1
        place.waiting.append(nextTicket)
        return .wait(ticket: nextTicket)
    }

    /// A connection may take another request.
    mutating func released(_ connection: Connection, of key: Key) -> Release {
        guard var place = places[key] else { return .close }
        defer { places[key] = place }
        if !place.waiting.isEmpty { return .serve(ticket: place.waiting.removeFirst()) }
        guard place.idle.count < maximumIdle else { return .close }
        place.idle.append(connection)
        return .keep
    }

    /// A connection has closed or could not be opened. The ticket, if any, may open another in its place.
    mutating func ended(_ connection: Connection?, of key: Key) -> Int? {
        guard var place = places[key] else { return nil }
        if let connection { place.idle.removeAll { $0 === connection } }
        guard place.waiting.isEmpty else {
            let ticket = place.waiting.removeFirst()
            places[key] = place
            return ticket
        }
        place.count -= 1
        places[key] = place.count > 0 ? place : nil
        return nil
    }

    /// Nobody waits any more.
    mutating func abandon(ticket: Int, of key: Key) { places[key]?.waiting.removeAll { $0 == ticket } }
}
