public import Base
public import Domain
internal import FoundationEssentials
internal import Glibc

extension MicroVMProvider {
    /// How long memory may take to its file or out of it.
    private static let memoryDeadline = Duration.seconds(120)

    public func snapshot(_ instance: InstanceReference, as snapshot: SnapshotID) async throws {
        try await lanes.run(instance.environmentID) { try await keep(instance, snapshot) }
    }

    private func keep(_ instance: InstanceReference, _ snapshot: SnapshotID) async throws {
        _ = try house.livingRecord(of: instance, to: "be kept")
        let kept = SnapshotDirectory(configuration.dataDirectory, snapshot)
        if SmallFile.exists(kept.path) { throw BerthError(.conflict, "there is a snapshot \(snapshot) already") }
        try kept.begin()
        do {
            held.begin(instance.environmentID)
            defer { held.end(instance.environmentID) }
            let wasRunning = try await keepMemory(instance, in: kept.part)
            do {
                try await keepDisks(instance, in: kept.part)
            } catch {
                if wasRunning { try? await letRun(instance) }
                throw error
            }
            if wasRunning { try await letRun(instance) }
            try kept.finish()
        } catch {
            kept.remove()
            throw error
        }
    }

    /// Stops the machine, writes its memory and the state of its devices; it stays stopped, its disks written out.
    /// Returns whether it ran.
    private func keepMemory(_ instance: InstanceReference, in directory: SnapshotFiles) async throws -> Bool {
        let file = open(directory.memory, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw SmallFile.failure("make", directory.memory) }
        defer { close(file) }
        let (time, held, environment) = (time, held, instance.environmentID)
        return try await monitor(environment, deadline: Self.memoryDeadline) { monitor in
            let wasRunning = try await monitor.status() == "running"
            if !wasRunning { held.end(environment) }
            try await monitor.run("stop")
            do {
                // It is stopped already, so there is nothing to spare.
                try await monitor.run("migrate-set-parameters", ["max-bandwidth": .integer(1 << 40)])
                try await monitor.run("getfd", ["fdname": .string("memory")], descriptor: file)
                try await monitor.run("migrate", ["uri": .string("fd:memory")])
                while true {
                    let answer = try await monitor.run("query-migrate")
                    let status = answer["status"]?.string
                    if status == "completed" { return wasRunning }
                    if status == "failed" || status == "cancelled" {
                        throw BerthError(
                            .diskFull,
                            "the machine's memory could not be written",
                            remedy: "free space in the data directory",
                            detail: answer["error-desc"]?.string,
                            isRetryable: true
                        )
                    }
                    try await time.wait(for: .milliseconds(2))
                }
            } catch {
                if wasRunning { _ = try? await monitor.run("cont") }
                throw error
            }
        }
    }

    /// The environment's own disk as a copy, everything that nobody writes as a link.
    private func keepDisks(_ instance: InstanceReference, in files: SnapshotFiles) async throws {
        let directory = house.directory(instance.environmentID)
        try await copy(directory.machine + "/disk.qcow2", to: files.disk)
        let running = SnapshotFiles(path: directory.running)
        try running.linkDisks(to: files)
        guard let hardware = SmallFile.read(running.hardware) else {
            throw SmallFile.failure("read", running.hardware)
        }
        try SmallFile.replace(files.hardware, with: hardware, isDurable: true)
    }

    public func fork(_ snapshot: SnapshotID, _ request: InstanceRequest) async throws -> InstanceDescription {
        try await lanes.run(request.environmentID) { try await make(request, outOf: snapshot) }
    }

    private func make(_ request: InstanceRequest, outOf snapshot: SnapshotID) async throws -> InstanceDescription {
        try request.check(against: capabilities)
        let directory = house.directory(request.environmentID)
        if try house.exists(request) { return describe(directory) }
        try directory.checkSocketPath()
        try checkParts()
        let kept = try self.kept(snapshot)
        let hardware = try MachineHardware(readFrom: kept.hardware)
        try hardware.check(request, size: try size(request, images: hardware.images))
        try directory.makeDirectories([
            directory.layer, directory.run, directory.state, directory.etc, directory.machine,
        ])
        try await goBack(to: kept, directory)
        try finish(request, directory, images: hardware.images)
        return describe(directory)
    }

    public func restore(_ environment: EnvironmentID, to snapshot: SnapshotID) async throws {
        try await lanes.run(environment) { try await take(environment, backTo: snapshot) }
    }

    private func take(_ environment: EnvironmentID, backTo snapshot: SnapshotID) async throws {
        let directory = house.directory(environment)
        let request = try house.request(environment)
        if let record = directory.record(), record.isHolderAlive {
            throw BerthError(
                .illegalTransition,
                "\(environment) is running, so it cannot go back to a snapshot",
                remedy: "stop it first"
            )
        }
        let kept = try self.kept(snapshot)
        let hardware = try MachineHardware(readFrom: kept.hardware)
        try hardware.check(request, size: try size(request, images: hardware.images))
        try await goBack(to: kept, directory)
        try SmallFile.replace(directory.images, with: hardware.images)
    }

    /// The next start goes on where the snapshot was made.
    private func goBack(to kept: SnapshotFiles, _ directory: EnvironmentDirectory) async throws {
        let coming = SnapshotFiles(path: directory.coming)
        try? FileManager.default.removeItem(atPath: coming.path)
        try SmallFile.makeDirectory(coming.path)
        try await copy(kept.disk, to: directory.machine + "/disk.qcow2")
        try kept.linkDisks(to: coming)
        try SnapshotFiles.place(kept.memory, at: coming.memory)
        // Last: with it the rest counts.
        try SnapshotFiles.place(kept.hardware, at: coming.hardware)
    }

    public func snapshots() async throws -> [SnapshotID] {
        SnapshotDirectory.all(configuration.dataDirectory)
    }

    public func removeSnapshot(_ snapshot: SnapshotID) async throws {
        SnapshotDirectory(configuration.dataDirectory, snapshot).remove()
    }

    private func kept(_ snapshot: SnapshotID) throws(BerthError) -> SnapshotFiles {
        let files = SnapshotDirectory(configuration.dataDirectory, snapshot).files
        guard SmallFile.exists(files.hardware) else { throw BerthError(.notFound, "there is no snapshot \(snapshot)") }
        return files
    }

    private func copy(_ source: String, to target: String) async throws {
        let status = try await ForeignTool.run(
            ["/bin/cp", "--no-dereference", "--reflink=auto", "--sparse=always", source, target],
            loop: house.loop
        )
        guard status == 0, chmod(target, 0o600) == 0 else {
            throw BerthError(
                .diskFull,
                "the machine's disk could not be copied to \(target)",
                remedy: "free space in the data directory",
                isRetryable: true
            )
        }
    }
}
