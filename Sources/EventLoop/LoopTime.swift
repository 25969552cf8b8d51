public import Base

/// The machine's clocks; waiting happens on the loop, without a change of thread.
public struct LoopTime: TimeSource {
    let loop: EventLoop
    private let system = SystemTime()

    init(loop: EventLoop) { self.loop = loop }

    public var now: Timestamp { system.now }
    public var uptime: Uptime { system.uptime }

    public func wait(until deadline: Uptime) async throws {
        if deadline <= uptime { return try Task.checkCancellation() }
        let loop = loop
        let slot = TimerSlot()
        defer { loop.execute { slot.timer?.close() } }
        try await loop.suspend { (waiter: Waiter<Void>) in
            let timer = LoopTimer(loop: loop) { waiter.resume() }
            slot.timer = timer
            timer.set(deadline)
        }
    }
}

extension EventLoop {
    public var time: LoopTime { LoopTime(loop: self) }
}
