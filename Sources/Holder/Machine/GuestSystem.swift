internal import CShims
internal import Glibc

/// The guest's kernel and files, as its first process sets them up.
enum GuestSystem {
    /// Once per boot, before anything else.
    static func mountFileSystems() {
        setsid()
        umask(0o022)
        let flags = UInt(MS_NOSUID | MS_NODEV)
        mountFresh("devpts", at: "/dev/pts", UInt(MS_NOSUID | MS_NOEXEC), "mode=0620,ptmxmode=0666")
        mountFresh("tmpfs", at: "/dev/shm", flags, "mode=1777")
        mountFresh("tmpfs", at: "/run", flags, "mode=0755")
        mountFresh("cgroup2", at: "/sys/fs/cgroup", flags | UInt(MS_NOEXEC), nil)
        for (name, target) in [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] { symlink(target, "/dev/" + name) }
        mkdir("/run/berth", 0o700)
        mkdir("/run/berth-etc", 0o755)
        mkdir("/var/lib/berth", 0o700)
    }

    private static func mountFresh(_ type: String, at path: String, _ flags: UInt, _ options: String?) {
        mkdir(path, 0o755)
        if mount(type, path, type, flags, options) != 0 { ChildProgram.say("cannot mount \(path): errno \(errno)") }
    }

    /// Names and resolver, over whatever the disk has there.
    static func setNames(_ configuration: GuestConfiguration) {
        let hostname = configuration.hostname
        if sethostname(hostname, hostname.utf8.count) != 0 { ChildProgram.say("cannot set the host name") }
        let files = [
            ("hostname", hostname + "\n"),
            ("hosts", "127.0.0.1 localhost\n127.0.1.1 \(hostname)\n::1 localhost ip6-localhost\n"),
            ("resolv.conf", configuration.resolver.map { "nameserver \($0)\n" } ?? ""),
        ]
        for (name, text) in files {
            let source = "/run/berth-etc/" + name
            let isMounted = access(source, F_OK) == 0
            // Written in place: a bind mount shows the file, not its name.
            let file = open(source, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            var bytes = Array(text.utf8)
            Port.write(&bytes, to: file)
            close(file)
            if !isMounted, mount(source, "/etc/" + name, nil, UInt(MS_BIND), nil) != 0 {
                ChildProgram.say("cannot show /etc/\(name): errno \(errno)")
            }
        }
    }

    static func setClock(seconds: Int, nanoseconds: Int) {
        var time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        if clock_settime(CLOCK_REALTIME, &time) != 0 { ChildProgram.say("cannot set the clock: errno \(errno)") }
    }

    /// Mixes it in and makes the kernel use it at once: two guests out of one snapshot must not share a single number.
    static func addEntropy(_ bytes: [UInt8]) {
        let result = berth_add_entropy(bytes, bytes.count)
        if result != 0 { ChildProgram.say("cannot add entropy: errno \(-result)") }
    }

    /// The file system takes all of its disk: environments are given a small one inside a larger disk.
    static func growDisk() {
        guard let disk = device(serial: "root"),
            let sectors = text("/sys/block/\(disk)/size").flatMap({ UInt64($0) })
        else { return }
        let result = berth_grow_file_system("/", sectors)
        if result != 0 { ChildProgram.say("cannot grow the disk: errno \(-result)") }
    }

    static func mountAgent(_ index: Int, _ name: String) {
        guard let disk = device(serial: "agent\(index)") else { return ChildProgram.say("no disk for agent \(name)") }
        let place = "/opt/berth/agents/" + name
        mkdir(place, 0o755)
        if mount("/dev/" + disk, place, "ext4", UInt(MS_RDONLY | MS_NOSUID | MS_NODEV), nil) != 0, errno != EBUSY {
            ChildProgram.say("cannot mount agent \(name): errno \(errno)")
        }
    }

    /// This process and all that come after it.
    static func capProcesses(_ count: Int) {
        let group = "/sys/fs/cgroup/berth"
        put("+pids", into: "/sys/fs/cgroup/cgroup.subtree_control")
        mkdir(group, 0o755)
        put("\(count)", into: group + "/pids.max")
        put("0", into: group + "/cgroup.procs")
    }

    /// Everything ends, then the disk is left clean. Does not return.
    static func powerOff() -> Never {
        kill(-1, SIGKILL)
        while waitpid(-1, nil, 0) > 0 {}
        sync()
        _ = mount(nil, "/", nil, UInt(MS_REMOUNT | MS_RDONLY), nil)
        // Without a power button, the reset that the machine is told to take for its end.
        berth_reset_machine()
        while true { pause() }
    }

    // MARK: - Looking

    /// A disk by its serial number.
    private static func device(serial: String) -> String? {
        names(in: "/sys/block").first { text("/sys/block/\($0)/serial") == serial }
    }

    /// The device of a port of the control or data link; nil while there is none.
    static func port(_ name: String) -> String? {
        let ports = "/sys/class/virtio-ports"
        return names(in: ports).first { text("\(ports)/\($0)/name") == name }.map { "/dev/" + $0 }
    }

    private static func text(_ path: String) -> String? {
        String(decoding: ChildProgram.contents(path), as: UTF8.self).split(separator: "\n").first.map { String($0) }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func put(_ text: String, into path: String) {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        var bytes = Array(text.utf8)
        if file < 0 || !Port.write(&bytes, to: file) { ChildProgram.say("cannot write \(path): errno \(errno)") }
        if file >= 0 { close(file) }
    }
}
