public import Base
internal import CUV
internal import Glibc

/// A deadline that is moved often and passes seldom. Setting a later time is a field write; the heap is touched only
/// when the time comes or moves nearer. Counts CLOCK_BOOTTIME, so a machine's sleep passes deadlines.
///
/// `@unchecked Sendable`: made, set and fired only on its loop.
public final class LoopTimer: @unchecked Sendable {
    fileprivate enum Place {
        case outside
        case heap(index: Int, at: Uptime)  // `at` is never after `due` was first set, maybe before what it is now
    }

    private let loop: EventLoop
    private var action: (() -> Void)?
    fileprivate var place = Place.outside
    /// When `action` runs next; nil when it does not.
    public private(set) var due: Uptime?

    /// `action` runs on the loop. The timer is held by the loop while it is due.
    public init(loop: EventLoop, action: @escaping () -> Void) {
        self.loop = loop
        self.action = action
    }

    public func set(_ due: Uptime?) {
        loop.preconditionCurrent()
        self.due = due
        guard let due else {
            // Stays in the heap until its time; there it is dropped. Far ones are taken out to free what they hold.
            if case .heap(_, let scheduled) = place, scheduled - loop.now > .seconds(5) { loop.timers.remove(self) }
            return
        }
        if case .heap(_, let scheduled) = place {
            if scheduled <= due { return }
            loop.timers.remove(self)
        }
        loop.timers.insert(self, at: due)
    }

    public func set(after duration: Duration) { set(loop.now + duration) }

    /// Takes the timer out for good and lets go of what its action holds.
    public func close() {
        due = nil
        action = nil
        loop.timers.remove(self)
    }

    fileprivate func reached(_ now: Uptime) {
        guard let due else { return }
        if due > now {
            loop.timers.insert(self, at: due)
        } else {
            self.due = nil
            action?()
        }
    }
}

/// A binary heap of timers by the time they are scheduled at.
struct TimerHeap {
    private var timers: [LoopTimer] = []

    var first: Uptime? { timers.first.map(Self.time) }

    private static func time(_ timer: LoopTimer) -> Uptime {
        if case .heap(_, let at) = timer.place { at } else { Uptime(nanoseconds: .max) }
    }

    mutating func insert(_ timer: LoopTimer, at time: Uptime) {
        timers.append(timer)
        timer.place = .heap(index: timers.count - 1, at: time)
        siftUp(timers.count - 1)
    }

    mutating func remove(_ timer: LoopTimer) {
        guard case .heap(let index, _) = timer.place else { return }
        timer.place = .outside
        let last = timers.removeLast()
        guard last !== timer else { return }
        put(last, at: index)
        siftUp(index)
        siftDown(index)
    }

    /// Takes out the first timer if it is scheduled at or before `now`.
    mutating func pop(until now: Uptime) -> LoopTimer? {
        guard let timer = timers.first, Self.time(timer) <= now else { return nil }
        remove(timer)
        return timer
    }

    private mutating func put(_ timer: LoopTimer, at index: Int) {
        timers[index] = timer
        timer.place = .heap(index: index, at: Self.time(timer))
    }

    private mutating func exchange(_ one: Int, _ other: Int) {
        let timer = timers[one]
        put(timers[other], at: one)
        put(timer, at: other)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard Self.time(timers[index]) < Self.time(timers[parent]) else { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < timers.count {
                if Self.time(timers[child]) < Self.time(timers[least]) { least = child }
            }
            guard least != index else { return }
            exchange(index, least)
            index = least
        }
    }
}

extension EventLoop {
    /// Fires what is due and sets the kernel's timer for the rest. An alarm that is too early is left as it is: one
    /// needless wake-up costs less than a system call for every deadline that moves.
    func armAlarm() {
        guard let first = timers.first else { return }
        do {
            if alarm == nil { alarm = try TimerAlarm(loop: self) }
            alarm?.arm(first)
        } catch {
            preconditionFailure("the system gives no timer: \(error)")
        }
    }

    func fireTimers() {
        let now = now
        while let timer = timers.pop(until: now) { timer.reached(now) }
    }
}

/// A timerfd on CLOCK_BOOTTIME, watched by the loop.
final class TimerAlarm: PollTarget {
    private unowned let loop: EventLoop
    private let descriptor: CInt
    private var handle: PollHandle?
    private var armedAt: Uptime?

    init(loop: EventLoop) throws(BerthError) {
        self.loop = loop
        descriptor = timerfd_create(CInt(CLOCK_BOOTTIME), CInt(TFD_NONBLOCK) | CInt(TFD_CLOEXEC))
        guard descriptor >= 0 else { throw BerthError(errno: errno, "cannot make a timer", code: .internal) }
        let handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
        handle.watch(reading: true, writing: false)
        self.handle = handle
    }

    func arm(_ time: Uptime) {
        if let armedAt, armedAt <= time { return }
        armedAt = time
        var setting = itimerspec()
        let nanoseconds = max(1, time.nanoseconds)
        setting.it_value.tv_sec = Int(nanoseconds / 1_000_000_000)
        setting.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
        timerfd_settime(descriptor, CInt(TFD_TIMER_ABSTIME), &setting, nil)
    }

    func ready(_ readiness: Readiness) {
        var expirations: UInt64 = 0
        _ = read(descriptor, &expirations, 8)
        armedAt = nil
        loop.fireTimers()
    }

    func loopStops() { close() }

    func close() {
        guard let handle else { return }
        self.handle = nil
        handle.close()
        Glibc.close(descriptor)
    }
}
