internal import Base
internal import Domain
internal import FoundationEssentials
internal import Glibc

// One boot: what it is made of, its launch, and the wait for the guest's holder.
extension MicroVMProvider {
    /// Whether the machine was started here; false where it runs already.
    func boot(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> Bool {
        let directory = house.directory(instance.environmentID)
        let request = try house.request(instance.environmentID)
        guard try house.mayStart(instance) else { return false }
        try checkParts()
        let coming = SnapshotFiles(path: directory.coming)
        let running = SnapshotFiles(path: directory.running)
        let goesOn = coming.hasMemory
        let hardware =
            try await goesOn ? MachineHardware(readFrom: coming.hardware) : hardwareNow(directory, request, launch)
        try Self.checkImages(hardware.images)
        if !goesOn { try await lay(hardware, launch, in: coming) }
        // Before the machine runs: its memory must never be gone back to by accident once its disk has moved on.
        try coming.replace(running)
        let plan = MachinePlan(
            sandbox: sandbox(directory, request),
            configuration: configuration,
            hardware: hardware,
            disks: running,
            goesOn: goesOn
        )
        do {
            _ = try await house.start(instance, launch, limits: { hardware.size.hostLimits($0.limits) }) {
                directory,
                _ in
                for name in ["ready", "end", "qmp.sock"] { unlink("\(directory.machine)/\(name)") }
                try SmallFile.replace(directory.machine + "/boot", with: plan.boot(instance.instance, launch))
                return try plan.spec(instance.instance, empty: empty)
            }
        } catch let error as BerthError where goesOn && error.code != .timedOut {
            // Nothing has run, so it can be tried again.
            try running.replace(coming)
            throw error
        }
        if goesOn {
            unlink(running.memory)
            try await goOn(instance)
        }
        return true
    }

    /// What this boot is to be made of.
    private func hardwareNow(_ directory: EnvironmentDirectory, _ request: InstanceRequest, _ launch: WorkerLaunch)
        async throws -> MachineHardware
    {
        let images = SmallFile.read(directory.images)?.trimmed ?? configuration.images
        try Self.checkImages(images)
        return MachineHardware(
            images: images,
            accelerator: try await Accelerator.probe(configuration, images: images, loop: house.loop),
            ticksPerMillisecond: try await Accelerator.ticksPerMillisecond(time: time),
            size: try size(request, images: images),
            hasNetwork: request.network.kind == .open,
            agents: launch.agents.map(\.name)
        )
    }

    /// Programs and agents as they are now.
    private func lay(_ hardware: MachineHardware, _ launch: WorkerLaunch, in files: SnapshotFiles) async throws {
        try? FileManager.default.removeItem(atPath: files.path)
        try SmallFile.makeDirectory(files.path)
        try SnapshotFiles.place(try await disks.programs(configuration.programs), at: files.programs)
        for (index, agent) in launch.agents.enumerated() {
            try SnapshotFiles.place(try await disks.agent(agent), at: files.agent(index))
        }
        try hardware.write(to: files.hardware)
    }

    /// Lets a machine that was given its memory run, once it has all of it.
    private func goOn(_ instance: InstanceReference) async throws {
        let time = time
        let directory = house.directory(instance.environmentID)
        let deadline = time.uptime + Self.bootDeadline
        // QEMU listens a moment after it was started; the wait for its guest tells of one that has died.
        while !SmallFile.exists(directory.machine + "/qmp.sock"), time.uptime < deadline {
            guard directory.record()?.isHolderAlive == true else { return }
            try await time.wait(for: .milliseconds(2))
        }
        try await monitor(instance.environmentID, deadline: .seconds(60)) { monitor in
            while try await monitor.status() == "inmigrate" { try await time.wait(for: .milliseconds(2)) }
            try await monitor.run("cont")
        }
    }

    /// Until the guest's holder runs. A machine that does not come so far is ended, and what its kernel said last is told.
    func waitUntilReady(_ instance: InstanceReference, _ directory: EnvironmentDirectory) async throws {
        let deadline = time.uptime + Self.bootDeadline
        while true {
            if SmallFile.read(directory.machine + "/ready")?.trimmed == "\(instance.instance)" { return }
            guard let record = directory.record(), record.instance == instance.instance else { return }
            let isAlive = record.isHolderAlive
            if isAlive, time.uptime < deadline {
                try await time.wait(for: .milliseconds(5))
                continue
            }
            if isAlive { try await house.end(record, of: instance.environmentID, grace: .zero) }
            let console = SmallFile.read(directory.machine + "/console")?.trimmed ?? ""
            let log = SmallFile.read(directory.log)?.trimmed ?? ""
            throw BerthError(
                isAlive ? .timedOut : .unavailable,
                isAlive
                    ? "the machine did not start within \(Self.bootDeadline.components.seconds) s"
                    : "the machine ended while it started",
                detail: [console, log].map { String($0.suffix(2000)) }.filter { !$0.isEmpty }.joined(separator: "\n"),
                isRetryable: true
            )
        }
    }
}
