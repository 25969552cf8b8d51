internal import CShims
internal import Glibc
internal import HolderProtocol
internal import MachineLink

/// The host's side of a micro virtual machine (`berth-hold machine DIRECTORY`), first process of its own sandbox: starts
/// QEMU, speaks to the guest over the control port, and carries the guest's connections to the server's socket. Lives as
/// long as QEMU, so a restart of the server changes nothing here.
///
/// `DIRECTORY/boot` says what to do, a control line each: `qemu ARGUMENT`, `instance N`, `incoming PATH`; every other
/// line is the guest's (see ``MachineGuest``). Written here: `ready` once the guest's holder runs, `end` and `console`
/// when it is over.
///
/// TERM asks the guest to end in order; HUP tells it the time, and gives it fresh entropy.
struct MachineHost {
    static let link = "/run/berth/link.sock"
    static let token = "/run/berth/token"
    private static let consoleSize = 16384

    private let directory: String
    private let signals: Int32
    private var instance = ""
    private var guestLines: [ControlLine] = []
    private var ports: [UInt16] = []
    private var qemu: Int32 = 0
    private var control: Port
    private var reader = ControlReader()
    private var relay: ChannelRelay
    private let console: Port
    private var consoleTail: [UInt8] = []
    private var watch: Int32 = -1
    private var marker: [UInt8] = []
    /// What the guest said its holder ended with.
    private var guestCode: Int32?
    private var isStopping = false

    /// Returns the exit status.
    static func run(_ directory: String) -> Int32 {
        berth_close_inherited(-1)
        signal(SIGPIPE, SIG_IGN)
        let signals = berth_signal_descriptor()
        guard signals >= 0, let host = MachineHost(directory, signals: signals) else { return 71 }
        var running = host
        return running.run()
    }

    private init?(_ directory: String, signals: Int32) {
        self.directory = directory
        self.signals = signals
        var arguments: [String] = []
        var incoming: Int32 = -1
        for line in Self.lines(ChildProgram.contents(directory + "/boot")) {
            switch (line.words[0], line.words.count) {
            case ("qemu", 2): arguments.append(line.words[1])
            case ("instance", 2): instance = line.words[1]
            case ("incoming", 2): incoming = open(line.words[1], O_RDONLY | O_CLOEXEC)
            case ("port", 2):
                if let port = UInt16(line.words[1]) { ports.append(port) }
                guestLines.append(line)
            default: guestLines.append(line)
            }
        }
        guard !arguments.isEmpty, let console = Self.pair(), let control = Self.pair(), let data = Self.pair() else {
            ChildProgram.say("\(directory)/boot: no machine to start")
            return nil
        }
        self.console = Port(console.own)
        self.control = Port(control.own)
        relay = ChannelRelay(port: Port(data.own).descriptor, .host)
        watch = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        inotify_add_watch(watch, "/run/berth", UInt32(IN_CREATE | IN_MOVED_TO))
        var given = [console.other, control.other, data.other]
        if incoming >= 0 { given.append(incoming) }
        qemu = ChildProgram.start(arguments, environment: ["PATH=/usr/bin:/bin", "HOME=/"], descriptors: given)
        for descriptor in given { close(descriptor) }
        guard qemu > 0 else {
            ChildProgram.say("\(arguments[0]) cannot be started: \(String(cString: strerror(-qemu)))")
            return nil
        }
    }

    private static func pair() -> (own: Int32, other: Int32)? {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        return socketpair(AF_UNIX, type, 0, &ends) == 0 ? (ends[0], ends[1]) : nil
    }

    private static func lines(_ bytes: [UInt8]) -> [ControlLine] {
        bytes.split(separator: 0x0A).compactMap { ControlLine($0) }
    }

    // MARK: - The loop

    private mutating func run() -> Int32 {
        begin()
        while true {
            var watched = [
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0), control.watched, console.watched,
                pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
            ]
            let fixed = watched.count
            watched += relay.watched
            guard poll(&watched, nfds_t(watched.count), -1) >= 0 else { continue }
            handleConnections(watched[fixed...])
            if watched[1].revents != 0 { handleControl() }
            if watched[2].revents != 0 { handleConsole() }
            if watched[3].revents != 0 { handleWatch() }
            if watched[0].revents != 0, let status = handleSignals() { return status }
            control.flush()
            relay.flush()
        }
    }

    /// Everything the guest needs to know. It waits in QEMU until the guest reads, so it is sent before the guest runs;
    /// one that comes out of a snapshot finds it in the middle of whatever it was doing.
    private mutating func begin() {
        // A guest that breaks the link again and again without reading is told once.
        guard control.output.count < ControlLine.maximumSize else { return }
        marker = ChildProgram.random(Multiplexer.markerSize)
        // The guest's first bytes may be here before its `ready` is read.
        relay.begin(marker, isHeld: true)
        control.output.append(0x0A)
        send(ControlLine("reset", ChildProgram.hexadecimal(marker)))
        sendMoment()
        for line in guestLines { send(line) }
        send(ControlLine("token", String(decoding: ChildProgram.contents(Self.token), as: UTF8.self)))
        send(ControlLine("begin"))
    }

    private mutating func send(_ line: ControlLine) { control.output += line.encoded }

    private mutating func sendMoment() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        send(ControlLine("entropy", ChildProgram.hexadecimal(ChildProgram.random(64))))
        send(ControlLine("time", "\(now.tv_sec)", "\(now.tv_nsec)"))
    }

    private mutating func handleControl() {
        for line in reader.receive((control.read() ?? [])[...]) {
            switch line.words[0] {
            case "ready" where line.words.dropFirst().first == ChildProgram.hexadecimal(marker): relay.release()
            case "running":
                ChildProgram.replace(directory + "/ready", with: Array("\(instance)\n".utf8))
                if isStopping { send(ControlLine("stop")) }
            case "ended":
                guestCode = line.words.dropFirst().first.flatMap { Int32($0) }.map { $0 & 0xFF } ?? 0
                send(ControlLine("off"))
            default: break
            }
        }
    }

    private mutating func handleConsole() {
        consoleTail += console.read() ?? []
        if consoleTail.count > 2 * Self.consoleSize {
            consoleTail.removeFirst(consoleTail.count - Self.consoleSize)
        }
    }

    /// The server listens again: workers that wait for it need not wait longer.
    private mutating func handleWatch() {
        var isBack = false
        // The name follows the event's fixed part (inotify(7)) and is padded with NUL.
        let name = Array("link.sock".utf8)
        while let bytes = Port.read(watch), !bytes.isEmpty {
            var rest = bytes[...]
            while rest.count >= 16 {
                let length = rest.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: 12, as: UInt32.self)) }
                if rest.dropFirst(16).prefix(length).prefix(while: { $0 != 0 }).elementsEqual(name) { isBack = true }
                rest = rest.dropFirst(16 + length)
            }
        }
        if isBack { send(ControlLine("server")) }
    }

    private mutating func handleConnections(_ ready: ArraySlice<pollfd>) {
        do {
            for opening in try relay.handle(ready) { relay.accept(opening.channel, connect(opening.target)) }
        } catch {
            ChildProgram.say("the guest does not keep to the link's format (\(error.message)); it begins anew")
            begin()
        }
    }

    /// A descriptor, or a negative number where the guest may not go or nobody listens.
    private func connect(_ target: UInt16) -> Int32 {
        if target == 0 { return UnixSocket.connect(to: Self.link) }
        guard ports.contains(target) else { return -1 }
        return LoopbackSocket.connect(to: target)
    }

    // MARK: - Ending

    /// The exit status once QEMU has ended.
    private mutating func handleSignals() -> Int32? {
        while true {
            switch berth_next_signal(signals) {
            case 0: return nil
            case SIGHUP: sendMoment()
            case SIGTERM, SIGINT:
                isStopping = true
                send(ControlLine("stop"))
            case SIGCHLD:
                var status: Int32 = 0
                while case let pid = waitpid(-1, &status, WNOHANG), pid > 0 {
                    if pid == qemu { return finish(status) }
                }
            default: break
            }
        }
    }

    private mutating func finish(_ status: Int32) -> Int32 {
        handleControl()
        handleConsole()
        ChildProgram.replace(directory + "/console", with: Array(consoleTail.suffix(Self.consoleSize)))
        let signal = status & 0x7F
        let code = status >> 8 & 0xFF
        if let guestCode { return guestCode }
        let end = signal != 0 ? ControlLine("signal", "\(signal)") : ControlLine("code", "\(code)")
        ChildProgram.replace(directory + "/end", with: ControlLine("instance", instance).encoded + end.encoded)
        ChildProgram.say("the machine ended by \(signal != 0 ? "signal \(signal)" : "itself with status \(code)")")
        return signal != 0 ? 128 + signal : code
    }
}
