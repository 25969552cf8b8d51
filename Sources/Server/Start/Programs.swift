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
        return newest("base-root-", configuration) ?? "\(configuration.cacheDirectory)/base-root-2"
    }

    /// The highest version of what scripts/images has built: `PREFIXVERSION` in the cache; nil: none yet.
    private static func newest(_ prefix: String, _ configuration: Configuration) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: configuration.cacheDirectory)) ?? []
        let versions = names.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count)) }
        return versions.max().map { "\(configuration.cacheDirectory)/\(prefix)\($0)" }
    }

    /// Every provider that this machine has. What it cannot enforce is in their capabilities.
    static func providers(_ configuration: Configuration, loop: EventLoop, time: any TimeSource) throws
        -> [any Provider]
    {
        let directory = directory(configuration)
        let programs = InstancePrograms(holder: "\(directory)/berth-hold", worker: "\(directory)/berth-worker")
        let data = configuration.dataDirectory
        var local = LocalConfiguration(dataDirectory: data, baseRoot: baseRoot(configuration), programs: programs)
        local.tools = newest("tools-", configuration)
        return [
            try LocalProvider(local, loop: loop, time: time),
            try HostProvider(dataDirectory: data, programs: programs, loop: loop, time: time),
            try dockerProvider(configuration, loop: loop, time: time),
            try MicroVMProvider(
                MicroVMConfiguration(
                    dataDirectory: data,
                    images: newest("microvm-", configuration) ?? "\(configuration.cacheDirectory)/microvm-1",
                    programs: programs
                ),
                loop: loop,
                time: time
            ),
        ]
    }

    static func dockerProvider(_ configuration: Configuration, loop: EventLoop, time: any TimeSource) throws(BerthError)
        -> DockerProvider
    {
        let directory = directory(configuration)
        let programs = InstancePrograms(holder: "\(directory)/berth-hold", worker: "\(directory)/berth-worker")
        var docker = DockerConfiguration(dataDirectory: configuration.dataDirectory, programs: programs)
        docker.tools = newest("tools-", configuration)
        if let socket = configuration.text("dockerSocket") { docker.socket = socket }
        if let image = configuration.text("dockerImage") { docker.image = image }
        return try DockerProvider(docker, loop: loop, time: time)
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
