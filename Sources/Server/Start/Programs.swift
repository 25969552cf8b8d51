import Base
import EventLoop
import FoundationEssentials
import Glibc
import Providers

/// The programs that environments are given.
enum Programs {
    /// Where `berth-worker` and `berth-hold` are: named in the configuration, else beside this program.
    static func directory(_ configuration: Configuration) -> String {
        if let named = configuration.text("programs") { return named }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlink("/proc/self/exe", $0, text.count) } ?? -1
            }
        }
        guard count > 0 else { return "/usr/lib/berth" }
        let path = String(decoding: buffer.prefix(count), as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "/usr/lib/berth"
    }

    /// The newest that scripts/images/base-root has built: `base-root-VERSION` in the cache.
    static func baseRoot(_ configuration: Configuration) -> String {
        if let named = configuration.text("baseRoot") { return named }
        return newest("base-root-", configuration)
    }

    /// The highest version of what scripts/images has built: `PREFIXVERSION` in the cache.
    private static func newest(_ prefix: String, _ configuration: Configuration) -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: configuration.cacheDirectory)) ?? []
        let versions = names.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count)) }
        return "\(configuration.cacheDirectory)/\(prefix)\(versions.max() ?? 1)"
    }

    /// Every provider that this machine has. What it cannot enforce is in their capabilities.
    static func providers(_ configuration: Configuration, loop: EventLoop, time: any TimeSource) throws
        -> [any Provider]
    {
        let directory = directory(configuration)
        let programs = InstancePrograms(holder: "\(directory)/berth-hold", worker: "\(directory)/berth-worker")
        let data = configuration.dataDirectory
        let local = LocalConfiguration(dataDirectory: data, baseRoot: baseRoot(configuration), programs: programs)
        return [
            try LocalProvider(local, loop: loop, time: time),
            try HostProvider(dataDirectory: data, programs: programs, loop: loop, time: time),
            try MicroVMProvider(
                MicroVMConfiguration(
                    dataDirectory: data,
                    images: newest("microvm-", configuration),
                    programs: programs
                ),
                loop: loop,
                time: time
            ),
        ]
    }

    /// Agents by name: each is a directory with a program of that name.
    static func agents(_ configuration: Configuration) -> [AgentMount] {
        let root = configuration.agentsDirectory
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return names.sorted().filter { Files.isExecutable("\(root)/\($0)/\($0)") }
            .map { AgentMount(name: $0, directory: resolved("\(root)/\($0)")) }
    }

    /// Without symbolic links, so that what is mounted stays what it was.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }
}
