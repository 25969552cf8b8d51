import Base
import Domain

/// The server's end of a world: either the model over the shipped machines, or the shipped services.
protocol SimServer: AnyObject {
    var isUp: Bool { get }
    /// Counts its deaths.
    var life: Int { get }

    func start() throws
    /// kill -9: what is not stored is gone.
    func crash()
    /// The process ends at the `points`-th effect from now on.
    func dieAfter(points: Int)
    func storageFails(until: Int64)
    /// The next write of output stores a part only, and the process ends.
    func tearNextWrite(keeping: Int)

    func create(_ order: Plan.Order) throws
    func cancel(_ order: Plan.Order) throws

    func accept(_ connection: Connection)
    func receive(_ item: Upward, on connection: Connection) throws
    /// The socket has ended.
    func gone(_ connection: Connection) throws
    func step(_ step: ServerStep) throws

    /// Lets everything run that can, at this moment.
    func settle() throws

    /// For people and for the coverage table; nil before it is created.
    func stateNumber(_ order: Int) -> Int?
    func orderName(of id: ExecutionID) -> String
    func words(_ order: Int) -> String
    /// Nothing is under way that the world does not see.
    var isIdle: Bool { get }
    /// Slots, and whatever else must be as at the beginning.
    func checkRest() throws
}

enum ServerStep {
    case dispatch
    case deadlines
    case giveUpLost
    case expire(Connection)
    case recordStarts(Connection)
    /// The model's late commit.
    case sync
    /// A wait of the services' is over.
    case wake(UInt64)
}
