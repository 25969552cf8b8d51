internal import Base

/// What the monitor wrote down before anything ran inside: `<environment>/instance`, lines of a key and its values.
struct InstanceRecord: Sendable, Equatable {
    var instance: Int64
    var bootID: String
    var monitor: ProcessIdentity
    var holder: ProcessIdentity
    var network: ProcessIdentity?

    init?(_ text: String) {
        var lines: [Substring: [Substring]] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if let key = words.first { lines[key] = Array(words.dropFirst()) }
        }
        guard let instance = lines["instance"]?.first.flatMap({ Int64($0) }),
            let boot = lines["boot"]?.first,
            let monitor = Self.process(lines["monitor"]),
            let holder = Self.process(lines["holder"])
        else { return nil }
        self.instance = instance
        bootID = String(boot)
        self.monitor = monitor
        self.holder = holder
        network = Self.process(lines["network"])
    }

    private static func process(_ words: [Substring]?) -> ProcessIdentity? {
        guard let words, words.count == 2, let pid = Int32(words[0]), let ticks = UInt64(words[1]) else { return nil }
        return ProcessIdentity(pid: pid, startTicks: ticks)
    }

    /// Pids and start times mean nothing after a reboot.
    var isOfThisBoot: Bool {
        SmallFile.read("/proc/sys/kernel/random/boot_id")?.trimmed == bootID
    }

    var isHolderAlive: Bool { isOfThisBoot && holder.isAlive }
}

/// `<environment>/exit`: how the holder ended, by the monitor.
struct ExitRecord: Sendable, Equatable {
    var instance: Int64
    var end: InstanceEnd

    init?(_ text: String) {
        var values: [Substring: Int64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { values[words[0]] = Int64(words[1]) }
        }
        guard let instance = values["instance"], let at = values["at"] else { return nil }
        self.instance = instance
        let moment = Timestamp(milliseconds: at)
        if let code = values["code"] {
            end = .exited(code: Int(code), at: moment)
        } else if let signal = values["signal"] {
            end = .killed(signal: Int(signal), at: moment)
        } else {
            return nil
        }
    }
}
