internal import CShims
internal import Glibc
internal import HolderProtocol

/// `berth-hold`'s main: options, socket, loop.
public enum HolderProgram {
    /// Returns the exit status: 0 after an orderly end, 64 for wrong usage, 71 when the system refuses something.
    public static func run(arguments: [String]) -> Int32 {
        let options: HolderOptions
        do {
            options = try HolderOptions(arguments)
        } catch {
            say(error.message)
            say(HolderOptions.usage)
            return 64
        }
        if let gate = options.gatePath, !passes(gate) {
            say("--gate: cannot read '\(gate)': \(String(cString: strerror(errno)))")
            return 71
        }
        berth_close_inherited(options.readyDescriptor ?? -1)
        if !options.hiddenPaths.isEmpty && berth_can_mount() == 0 {
            say("--hide needs CAP_SYS_ADMIN in the holder's user namespace; start it in a sandbox or without --hide")
            return 71
        }
        withCStrings(options.hiddenPaths) { berth_prepare_hidden($0) }
        berth_raise_descriptor_limit()
        let signals = berth_signal_descriptor()
        let protection = berth_protect()
        guard signals >= 0, protection == 0 else {
            say("the system refused signals or protection: errno \(min(signals, protection))")
            return 71
        }
        let listener = UnixSocket.listen(at: options.socketPath)
        guard listener >= 0 else {
            say("--socket: cannot listen at '\(options.socketPath)': \(String(cString: strerror(-listener)))")
            return 71
        }
        if let ready = options.readyDescriptor {
            _ = write(ready, "\n", 1)
            close(ready)
        }
        var loop = HolderLoop(options: options, listener: listener, signals: signals)
        loop.run()
        unlink(options.socketPath)
        return 0
    }

    /// Blocks until whoever prepares this place lets the holder in.
    private static func passes(_ gate: String) -> Bool {
        let pipe = open(gate, O_RDONLY | O_CLOEXEC)
        guard pipe >= 0 else { return false }
        defer { close(pipe) }
        var byte: UInt8 = 0
        var count = 0
        repeat { count = read(pipe, &byte, 1) } while count < 0 && errno == EINTR
        return count == 1
    }

    private static func say(_ text: String) {
        var line = "berth-hold: \(text)\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}
