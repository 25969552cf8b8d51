import Base
import Domain

/// The holder beneath a worker: owns the processes, their pipes and their exit statuses. A worker's death leaves it.
final class SimHolder {
    final class Child {
        let key: AttemptKey
        let order: Plan.Order
        let startedAt: Int64
        /// What was written and not yet taken, per stream.
        var pipes: [[UInt8]] = [[], []]
        /// Bytes written, per stream.
        var written = [0, 0]
        var writes = 0
        var isTerminating = false
        /// nil while it lives.
        var exit: Exit?

        init(_ key: AttemptKey, _ order: Plan.Order, at: Int64) {
            self.key = key
            self.order = order
            startedAt = at
        }

        var isDrained: Bool { exit != nil && pipes[0].isEmpty && pipes[1].isEmpty }
    }

    enum Exit: Equatable {
        case code(Int32)
        case signal(Int32)
    }

    enum Step {
        case write
        case kill
    }

    private unowned let world: World
    private let worker: Int
    private(set) var life = 0
    private(set) var children: [Child] = []

    init(_ world: World, worker: Int) {
        self.world = world
        self.worker = worker
    }

    func child(_ key: AttemptKey) -> Child? { children.first { $0.key == key } }

    func spawn(_ key: AttemptKey, _ order: Plan.Order) throws {
        let child = Child(key, order, at: world.now)
        children.append(child)
        try world.oracle.processStarted(key, order, worker: worker, at: world.now)
        world.trace("worker \(worker): process of \(world.name(key)) starts")
        add(.write, child, after: Int64(order.pauseMs))
    }

    /// TERM now, KILL five seconds later.
    func terminate(_ key: AttemptKey, killNow: Bool = false) throws {
        guard let child = child(key), child.exit == nil else { return }
        if killNow || !child.order.ignoresTerm { return try end(child, .signal(killNow ? 9 : 15)) }
        guard !child.isTerminating else { return }
        child.isTerminating = true
        add(.kill, child, after: 5000)
    }

    func forget(_ key: AttemptKey) { children.removeAll { $0.key == key && $0.exit != nil } }

    /// The environment's processes die with it.
    func die() throws {
        for child in children where child.exit == nil { try end(child, .signal(9), isHeard: false) }
        children = []
        life += 1
    }

    func step(_ key: AttemptKey, _ step: Step) throws {
        guard let child = child(key), child.exit == nil else { return }
        switch step {
        case .kill: try end(child, .signal(9))
        case .write:
            guard child.writes < child.order.writes.count else { return try end(child, .code(child.order.exitCode)) }
            let stream = child.writes % 3 == 2 ? 1 : 0
            let count = child.order.writes[child.writes]
            for _ in 0..<count {
                child.pipes[stream].append(Self.byte(key, stream, child.written[stream]))
                child.written[stream] += 1
            }
            child.writes += 1
            world.workers[worker].outputWaits(key)
            add(.write, child, after: Int64(child.order.pauseMs))
        }
    }

    /// What a process writes at an offset.
    static func byte(_ key: AttemptKey, _ stream: Int, _ offset: Int) -> UInt8 {
        let base = key.executionID.text.utf8.last.map(Int.init) ?? 0
        return UInt8(
            truncatingIfNeeded: base &* 31 &+ key.attempt &* 101 &+ stream &* 57 &+ offset &* 167 &+ offset >> 3
        )
    }

    private func end(_ child: Child, _ exit: Exit, isHeard: Bool = true) throws {
        child.exit = exit
        world.trace("worker \(worker): process of \(world.name(child.key)) ends with \(exit)")
        try world.oracle.processEnded(child.key, exit, written: child.written, at: world.now)
        if isHeard { world.workers[worker].outputWaits(child.key) }
    }

    private func add(_ step: Step, _ child: Child, after delay: Int64) {
        world.add(.child(worker: worker, holderLife: life, child.key, step), after: delay)
    }
}
