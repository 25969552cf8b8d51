internal import Base
internal import CUV

/// What a watched descriptor is ready for.
struct Readiness {
    var isReadable: Bool
    var isWritable: Bool
    /// errno of the watching itself, 0 if none.
    var error: CInt
}

protocol PollTarget: AnyObject {
    func ready(_ readiness: Readiness)
    /// The loop ends while the target still watches.
    func loopStops()
}

/// One descriptor's place in the loop's epoll set. Does not own the descriptor.
final class PollHandle: LoopHandle {
    private let target: any PollTarget
    private var events: CInt = 0

    init(loop: EventLoop, descriptor: CInt, target: any PollTarget) throws(BerthError) {
        self.target = target
        try super.init(loop: loop, type: UV_POLL, what: "cannot watch descriptor \(descriptor)") { uv, memory in
            uv_poll_init(uv, memory.assumingMemoryBound(to: uv_poll_t.self), descriptor)
        }
    }

    func watch(reading: Bool, writing: Bool) {
        let wanted = (reading ? CInt(UV_READABLE.rawValue) : 0) | (writing ? CInt(UV_WRITABLE.rawValue) : 0)
        guard wanted != events, let poll = raw?.assumingMemoryBound(to: uv_poll_t.self) else { return }
        events = wanted
        if wanted == 0 {
            uv_poll_stop(poll)
            return
        }
        uv_poll_start(poll, wanted) { poll, status, events in
            guard let data = poll?.pointee.data else { return }
            let handle = Unmanaged<PollHandle>.fromOpaque(data).takeUnretainedValue()
            let loop = handle.loop
            // After an error libuv has stopped watching.
            if status < 0 { handle.events = 0 }
            handle.target.ready(
                Readiness(
                    isReadable: events & CInt(UV_READABLE.rawValue) != 0,
                    isWritable: events & CInt(UV_WRITABLE.rawValue) != 0,
                    error: status < 0 ? -status : 0
                )
            )
            loop.eventHandled()
        }
    }

    override func loopStops() {
        target.loopStops()
        close()
    }
}
