import Domain
import WorkerProtocol

/// What a worker's socket carries to its server.
enum Upward {
    case message(WorkerMessage)
    case frame(ChannelFrame)
    case ping(sentAt: Int64)
}

/// What a worker's socket carries from its server.
enum Downward {
    case message(ServerMessage)
    case frame(ChannelFrame)
    case pong(pingSentAt: Int64)
    case close(code: UInt16)
}

/// One connection, in order both ways like TCP: what is lost is always the rest. Either end learns of the loss in its own
/// time, so an old connection's words can arrive after a newer one's.
final class Connection {
    let number: Int
    let worker: Int
    let workerLife: Int
    let serverLife: Int
    private var up: [Upward] = []
    private var down: [Downward] = []
    private var lastUpAt: Int64 = 0
    private var lastDownAt: Int64 = 0
    /// Whether anything that is sent now still arrives.
    private(set) var isUpOpen = true
    private(set) var isDownOpen = true
    /// When the server last took anything in.
    var heardAt: Int64 = 0
    /// Each end's own view.
    var workerHasLeft = false
    var serverHasLeft = false

    init(number: Int, worker: Int, workerLife: Int, serverLife: Int) {
        self.number = number
        self.worker = worker
        self.workerLife = workerLife
        self.serverLife = serverLife
    }

    func sendUp(_ item: Upward, _ world: World) {
        guard isUpOpen, !workerHasLeft else { return }
        up.append(item)
        lastUpAt = max(lastUpAt, world.now + world.latency(worker))
        world.add(.deliverUp(self), at: lastUpAt)
    }

    func sendDown(_ item: Downward, _ world: World) {
        guard isDownOpen, !serverHasLeft else { return }
        down.append(item)
        lastDownAt = max(lastDownAt, world.now + world.latency(worker))
        world.add(.deliverDown(self), at: lastDownAt)
    }

    func takeUp() -> Upward? { up.isEmpty ? nil : up.removeFirst() }
    func takeDown() -> Downward? { down.isEmpty ? nil : down.removeFirst() }

    /// The path is gone; of what is under way only the first part still arrives.
    func cut(_ dice: inout Dice) {
        if isUpOpen { up.removeLast(dice.within(0...up.count)) }
        if isDownOpen { down.removeLast(dice.within(0...down.count)) }
        isUpOpen = false
        isDownOpen = false
    }

    /// Nothing more enters; what is under way arrives.
    func closeUp() { isUpOpen = false }
    func closeDown() { isDownOpen = false }

    func dropAll() {
        up = []
        down = []
        isUpOpen = false
        isDownOpen = false
    }
}
