internal import CShims
internal import Glibc
internal import HolderProtocol
internal import MachineLink

/// First process of a micro virtual machine (`berth-hold guest`): takes its orders from the host over the control port,
/// runs the holder, and carries what its worker sends to the server. Never returns: its end is the machine's.
///
/// From the host: `reset MARKER`, the words of ``GuestConfiguration``, `begin`; at any time `time SECONDS NANOSECONDS`,
/// `entropy HEX`, `server` (it listens again), `stop`, `off`. To the host: `ready MARKER`, `running`, `ended CODE`.
struct MachineGuest {
    private static let link = "/run/berth/link.sock"
    private static let token = "/run/berth/token"
    private static let instance = "/run/berth/instance"
    private static let launch = "/run/berth/worker"
    /// How long the host may take to hear of the end.
    private static let patienceMs: Int32 = 2000

    private let signals: Int32
    private var control: Port
    private var reader = ControlReader()
    private var relay: ChannelRelay
    private var listeners: [(socket: Int32, target: UInt16)] = []
    private var configuration = GuestConfiguration()
    private var applied: GuestConfiguration?
    private var marker: [UInt8] = []
    private var holder: Int32 = 0

    static func run() -> Never {
        signal(SIGPIPE, SIG_IGN)
        GuestSystem.mountFileSystems()
        let signals = berth_signal_descriptor()
        guard signals >= 0, let control = openPort("berth.control"), let data = openPort("berth.data") else {
            ChildProgram.say("the ports to the host are missing")
            GuestSystem.powerOff()
        }
        var guest = MachineGuest(signals: signals, control: Port(control), data: Port(data).descriptor)
        while true { guest.turn() }
    }

    private init(signals: Int32, control: Port, data: Int32) {
        self.signals = signals
        self.control = control
        relay = ChannelRelay(port: data, .guest)
    }

    /// The driver makes its devices a moment after it was loaded.
    private static func openPort(_ name: String) -> Int32? {
        for _ in 0..<10_000 {
            if let path = GuestSystem.port(name), case let port = open(path, O_RDWR | O_CLOEXEC), port >= 0 {
                return port
            }
            poll(nil, 0, 1)
        }
        return nil
    }

    private mutating func turn() {
        var watched = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0), control.watched]
        for listener in listeners { watched.append(pollfd(fd: listener.socket, events: Int16(POLLIN), revents: 0)) }
        let fixed = watched.count
        watched += relay.watched
        guard poll(&watched, nfds_t(watched.count), -1) >= 0 else { return }
        // The host keeps to the format; a link that does not is begun anew by its next reset.
        if (try? relay.handle(watched[fixed...])) == nil { relay.begin([]) }
        for (offset, listener) in listeners.enumerated() where watched[2 + offset].revents != 0 {
            let socket = UnixSocket.accept(on: listener.socket)
            if socket >= 0 { relay.carry(socket, to: listener.target) }
        }
        if watched[1].revents != 0 { handleControl() }
        if watched[0].revents != 0 { handleSignals() }
        control.flush()
        relay.flush()
    }

    private mutating func handleControl() {
        for line in reader.receive((control.read() ?? [])[...]) {
            switch (line.words[0], line.words.count) {
            case ("reset", 2):
                marker = ChildProgram.bytes(hexadecimal: line.words[1])
                configuration = GuestConfiguration()
            case ("begin", _): begin()
            case ("time", 3):
                if let seconds = Int(line.words[1]), let nanoseconds = Int(line.words[2]) {
                    GuestSystem.setClock(seconds: seconds, nanoseconds: nanoseconds)
                }
            case ("entropy", 2): GuestSystem.addEntropy(ChildProgram.bytes(hexadecimal: line.words[1]))
            case ("server", _): listenForWorker()
            case ("stop", _): if holder > 0 { kill(holder, SIGTERM) } else { end(0) }
            case ("off", _): GuestSystem.powerOff()
            default: configuration.take(line)
            }
        }
    }

    private mutating func begin() {
        relay.begin(marker)
        control.output.append(0x0A)
        send(ControlLine("ready", ChildProgram.hexadecimal(marker)))
        if let applied {
            guard applied != configuration else { return send(ControlLine("running")) }
            GuestSystem.setNames(configuration)
            writeWorker()
            // A worker that only has another number and token reads them when it sees the socket come.
            if applied.lasting != configuration.lasting { WorkerLaunchFile.endWorker(Self.launch) }
            listenForWorker()
        } else {
            if let processes = configuration.processes { GuestSystem.capProcesses(processes) }
            GuestSystem.setNames(configuration)
            GuestSystem.growDisk()
            for (index, name) in configuration.agents.enumerated() { GuestSystem.mountAgent(index, name) }
            writeWorker()
            listenForWorker()
            listenForPorts()
            startHolder()
        }
        applied = configuration
        send(ControlLine("running"))
    }

    private func writeWorker() {
        ChildProgram.replace(Self.token, with: Array(configuration.token.utf8))
        if let instance = configuration.instance { ChildProgram.replace(Self.instance, with: Array(instance.utf8)) }
        WorkerLaunchFile.write(configuration, to: Self.launch)
    }

    private mutating func startHolder() {
        let command = configuration.holder + ["--worker", configuration.holder.first ?? "", "launch", Self.launch]
        holder = ChildProgram.start(command, environment: configuration.environment)
        if holder <= 0 {
            ChildProgram.say("the holder cannot be started: errno \(-holder)")
            end(71)
        }
    }

    /// A new file each time: a worker that waits for the server sees it come.
    private mutating func listenForWorker() {
        for listener in listeners where listener.target == 0 { close(listener.socket) }
        listeners.removeAll { $0.target == 0 }
        unlink(Self.link)
        let socket = UnixSocket.listen(at: Self.link)
        if socket >= 0 { listeners.append((Port(socket).descriptor, 0)) }
    }

    private mutating func listenForPorts() {
        for port in configuration.ports {
            let socket = LoopbackSocket.listen(on: port)
            if socket >= 0 { listeners.append((Port(socket).descriptor, port)) }
        }
    }

    private mutating func send(_ line: ControlLine) { control.output += line.encoded }

    private mutating func handleSignals() {
        while case let number = berth_next_signal(signals), number > 0 {
            guard number == SIGCHLD else { continue }
            var status: Int32 = 0
            while case let pid = waitpid(-1, &status, WNOHANG), pid > 0 {
                if pid == holder { end(status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F) }
            }
        }
    }

    /// Tells the host how it went, waits until it has heard, and is off.
    private mutating func end(_ code: Int32) {
        send(ControlLine("ended", "\(code)"))
        control.flush()
        var wait = pollfd(fd: control.descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&wait, 1, Self.patienceMs) > 0 {
            if reader.receive((control.read() ?? [])[...]).contains(ControlLine("off")) { break }
        }
        GuestSystem.powerOff()
    }
}
