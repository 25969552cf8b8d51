internal import Base
internal import EventLoop
internal import Glibc

/// What runs the guest's instructions.
enum Accelerator: String, Sendable {
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

    /// A translated processor's clock cannot be measured in time: the kernel is told its speed, and that the timer works.
    var kernelArguments: String {
        let common = "console=ttyS0 quiet reboot=t panic=-1 random.trust_cpu=on"
        return self == .tcg ? common + " mitigations=off tsc_early_khz=2000000 no_timer_check" : common
    }

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
            "-initrd", "\(images)/initrd", "-append", Accelerator.kvm.kernelArguments + " berth.probe",
        ]
        let works = try await ForeignTool.run(arguments + Accelerator.kvm.arguments, loop: loop) == 0
        let found: Accelerator = works ? .kvm : .tcg
        // Where it cannot be kept, it is found out again.
        try? SmallFile.replace(note, with: "\(conditions)\n\(found.rawValue)\n")
        return found
    }
}
