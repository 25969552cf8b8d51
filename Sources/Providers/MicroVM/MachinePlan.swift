internal import Base
internal import Domain
internal import Glibc
internal import MachineLink

/// Writes what one boot of a machine is: the launcher's specification of QEMU's sandbox, and the orders that
/// `berth-hold machine` finds inside it (Sources/Holder/Machine).
struct MachinePlan {
    let sandbox: SandboxPlan
    let configuration: MicroVMConfiguration
    let hardware: MachineHardware
    /// The read-only disks, and the memory to go on with where there is one.
    let disks: SnapshotFiles
    let goesOn: Bool

    private var host: LocalHost { sandbox.host }
    private var directory: EnvironmentDirectory { sandbox.directory }
    private var request: InstanceRequest { sandbox.request }

    // Paths inside QEMU's sandbox. None of it is the guest's.
    static let machine = "/machine"
    private static let images = "/images"

    // MARK: - The sandbox

    func spec(_ instance: Int64, empty: String) throws -> LaunchSpec {
        var spec = LaunchSpec()
        sandbox.addIDs(to: &spec)
        spec.add("directory", try SmallFile.resolved(directory.path))
        spec.add("instance", "\(instance)")
        spec.add("lower", try SmallFile.resolved(empty))
        spec.add("layer", try SmallFile.resolved(directory.layer))
        spec.add("hostname", request.hostname)
        spec.add("cwd", "/")
        spec.bind(try SmallFile.resolved(directory.run), at: Inside.linkDirectory, .idMapped)
        spec.bind(try SmallFile.resolved(directory.machine), at: Self.machine, .idMapped)
        spec.bind(
            try SmallFile.resolved(directory.etc + "/resolv.conf"),
            at: "/etc/resolv.conf",
            [.idMapped, .readOnly, .file]
        )
        // QEMU with its libraries and firmware, as the system has them.
        for path in ["/usr", "/lib", "/lib64"] where SmallFile.exists(path) {
            spec.bind(try SmallFile.resolved(path), at: path, .readOnly)
        }
        for (path, name) in files {
            spec.bind(try SmallFile.resolved(path), at: "\(Self.images)/\(name)", [.idMapped, .readOnly, .file])
        }
        spec.bind(
            try SmallFile.resolved(configuration.programs.holder),
            at: Inside.holder,
            [.idMapped, .readOnly, .file]
        )
        if hardware.accelerator == .kvm { spec.add("kvm", "1") }
        spec.add("limit", "core", "0")
        for path in host.groups?.paths(request.environmentID) ?? [] { spec.add("cgroup", path) }
        NetworkPlan.add(request.network, pasta: host.pasta, to: &spec)
        spec.add("environment", "PATH=/usr/bin:/bin")
        // The environment's id, so that a process list tells whose machine it is.
        spec.add("environment", "BERTH_ENVIRONMENT_ID=\(request.environmentID)")
        for argument in [Inside.holder, "machine", Self.machine] { spec.add("argument", argument) }
        return spec
    }

    private var files: [(path: String, name: String)] {
        var files = [
            (hardware.images + "/vmlinuz", "vmlinuz"), (hardware.images + "/initrd", "initrd"),
            (hardware.images + "/root.ext4", "root.ext4"), (disks.programs, "berth.ext4"),
        ]
        for index in hardware.agents.indices { files.append((disks.agent(index), "agent\(index).ext4")) }
        if goesOn { files.append((disks.memory, "memory")) }
        return files
    }

    // MARK: - The orders

    func boot(_ instance: Int64, _ launch: WorkerLaunch) -> String {
        var lines = qemu.map { ControlLine("qemu", $0) }
        lines.append(ControlLine("instance", "\(instance)"))
        if goesOn { lines.append(ControlLine("incoming", "\(Self.images)/memory")) }
        lines.append(ControlLine("hostname", request.hostname))
        if request.network.kind == .open { lines.append(ControlLine("resolver", "10.0.2.3")) }
        if let processes = request.limits.processes { lines.append(ControlLine("processes", "\(processes)")) }
        for port in request.network.hostPorts { lines.append(ControlLine("port", "\(port)")) }
        for agent in hardware.agents { lines.append(ControlLine("agent", agent)) }
        for (name, value) in environment(instance, launch) {
            lines.append(ControlLine("environment", "\(name)=\(value)"))
        }
        let state = "\(Inside.state)/\(request.environmentID)"
        let holder = [
            Inside.holder, "--socket", Inside.holderSocket, "--hide", Inside.linkDirectory, "--hide", Inside.state,
        ]
        let worker = [
            Inside.worker, "--link", "unix:\(Inside.linkSocket)", "--token-file", Inside.token, "--state", state,
            "--holder", Inside.holderSocket, "--workspaces", Inside.workspaces,
        ]
        lines += holder.map { ControlLine("holder", $0) }
        lines += (worker + launch.arguments).map { ControlLine("worker", $0) }
        return lines.map { String(decoding: $0.encoded, as: UTF8.self) }.joined()
    }

    private func environment(_ instance: Int64, _ launch: WorkerLaunch) -> [(String, String)] {
        let agents = hardware.agents.map { "\(Inside.agents)/\($0)" }
        let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        var variables = [
            "PATH": (agents + system).joined(separator: ":"),
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "BERTH_ENVIRONMENT_ID": request.environmentID.text,
            "BERTH_INSTANCE": "\(instance)",
        ]
        variables.merge(launch.environment) { _, new in new }
        return variables.sorted { $0.key < $1.key }
    }

    /// Descriptors 3, 4 and 5 are console, control and data; 6 is the memory to go on with.
    private var qemu: [String] {
        var arguments = [
            configuration.qemu, "-name", "berth-\(request.environmentID)", "-M", "microvm", "-nodefaults",
            "-no-user-config",
            "-no-reboot", "-display", "none", "-smp", "\(hardware.size.processors)", "-m",
            "\(hardware.size.mebibytes)M",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-kernel", "\(Self.images)/vmlinuz", "-initrd", "\(Self.images)/initrd",
            "-append", hardware.accelerator.kernelArguments(ticksPerMillisecond: hardware.ticksPerMillisecond),
            "-chardev", "socket,id=console,fd=3", "-serial", "chardev:console",
            "-chardev", "socket,id=control,fd=4", "-chardev", "socket,id=data,fd=5",
            "-device", "virtio-serial-device",
            "-device", "virtserialport,chardev=control,name=berth.control,nr=1",
            "-device", "virtserialport,chardev=data,name=berth.data,nr=2",
            "-qmp", "unix:\(Self.machine)/qmp.sock,server=on,wait=off",
        ]
        arguments += hardware.accelerator.arguments
        // The backing file is named here: what a disk's header says about it is not looked at.
        arguments += [
            "-blockdev",
            "driver=raw,node-name=base,read-only=on,file.driver=file,file.filename=\(Self.images)/root.ext4",
            "-blockdev",
            "driver=qcow2,node-name=root,backing=base,file.driver=file,file.filename=\(Self.machine)/disk.qcow2",
            "-device", "virtio-blk-device,drive=root,serial=root",
        ]
        let readOnly = ["berth"] + hardware.agents.indices.map { "agent\($0)" }
        for name in readOnly {
            arguments += [
                "-blockdev",
                "driver=raw,node-name=\(name),read-only=on,file.driver=file,file.filename=\(Self.images)/\(name).ext4",
                "-device", "virtio-blk-device,drive=\(name),serial=\(name)",
            ]
        }
        if request.network.kind == .open {
            arguments += ["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-device,netdev=net"]
        }
        if goesOn { arguments += ["-incoming", "fd:6"] }
        return arguments
    }
}
