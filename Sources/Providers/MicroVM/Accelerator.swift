internal import Base
internal import CShims
internal import EventLoop
internal import Glibc

/// What runs the guest's instructions.
enum Accelerator: String, Sendable, Codable {
    /// The processor itself.
    case kvm
    /// QEMU's translator: everywhere, and many times slower.
    case tcg

    var arguments: [String] {
        switch self {
        case .kvm: ["-accel", "kvm", "-cpu", "host"]
        case .tcg: ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]
        }
    }

    /// A translated processor shows the host's own ticks, whose rate the guest's kernel cannot measure without a timer of
    /// the board: it is told, and told to keep time by them. By lost timer interrupts it would be late within seconds.
    func kernelArguments(ticksPerMillisecond: Int) -> String {
        let common = "console=ttyS0 quiet reboot=t panic=-1 random.trust_cpu=on"
        guard self == .tcg else { return common }
        return common + " mitigations=off tsc_early_khz=\(ticksPerMillisecond) tsc=reliable no_timer_check"
    }

    /// Rate of the processor's ticks, over a moment long enough to know it to some millionths.
    static func ticksPerMillisecond(time: any TimeSource) async throws -> Int {
        var ticks: UInt64 = 0
        var nanoseconds: UInt64 = 0
        berth_processor_ticks(&ticks, &nanoseconds)
        let (firstTicks, first) = (ticks, nanoseconds)
        try await time.wait(for: .milliseconds(20))
        berth_processor_ticks(&ticks, &nanoseconds)
        guard nanoseconds > first, ticks > firstTicks else { return defaultTicksPerMillisecond }
        return Int(Double(ticks - firstTicks) * 1_000_000 / Double(nanoseconds - first))
    }

    private static let defaultTicksPerMillisecond = 2_000_000

    /// A boot under KVM takes well under a second; one that never gets anywhere must not be waited for longer.
    private static let probeSeconds = 5

    /// Boots a kernel under KVM and sees whether it comes to its first program: that the interface answers does not say
    /// that it does. The result is kept beside the images, for this boot of the host and this QEMU.
    static func probe(_ configuration: MicroVMConfiguration, images: String, loop: EventLoop) async throws
        -> Accelerator
    {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else { return .tcg }
        var status = stat()
        let boot = SmallFile.read("/proc/sys/kernel/random/boot_id")?.trimmed ?? ""
        guard !boot.isEmpty, stat(configuration.qemu, &status) == 0 else { return .tcg }
        let conditions = "\(boot) \(status.st_size) \(status.st_mtim.tv_sec)"
        let note = images + ".accelerator"
        if let words = SmallFile.read(note)?.trimmed.split(separator: "\n"), words.count == 2, words[0] == conditions,
            let known = Accelerator(rawValue: String(words[1]))
        {
            return known
        }
        let arguments = [
            "/usr/bin/timeout", "--signal=KILL", "\(probeSeconds)", configuration.qemu, "-M", "microvm", "-nodefaults",
            "-no-user-config", "-no-reboot", "-display", "none", "-m", "128M", "-kernel", "\(images)/vmlinuz",
            "-initrd", "\(images)/initrd", "-append",
            Accelerator.kvm.kernelArguments(ticksPerMillisecond: 0) + " berth.probe",
        ]
        let works = try await ForeignTool.run(arguments + Accelerator.kvm.arguments, loop: loop) == 0
        let found: Accelerator = works ? .kvm : .tcg
        // Where it cannot be kept, it is found out again.
        try? SmallFile.replace(note, with: "\(conditions)\n\(found.rawValue)\n")
        return found
    }
}
