public import Base
import Synchronization

/// A Docker Engine of a test run's own, with the workers' images: data, containers and socket in a temporary directory, no
/// bridge, no rule of the host's firewall. It ends with the test process, however that ends, or with this object.
public final class DockerEngine: Sendable {
    public let directory: TemporaryDirectory
    private let process: ChildProcess
    private let told = Mutex<[String: Int]>([:])

    public var socket: String { directory.file("docker.sock") }

    private init(outlivedByContainers: Bool = true) async throws {
        directory = try TemporaryDirectory("docker")
        let arguments = [directory.path, Self.images] + (outlivedByContainers ? ["live"] : [])
        process = try ChildProcess(["sh", ScriptedPeer.path("docker_engine.sh")] + arguments)
        _ = try await process.line(containing: "up", within: .seconds(120))
    }

    /// One that the body may kill. It is gone afterwards, with everything that it ran.
    /// - Parameter outlivedByContainers: containers go on when the Engine dies (`live-restore`).
    public static func with(outlivedByContainers: Bool, _ body: (DockerEngine) async throws -> Void) async throws {
        let engine = try await DockerEngine(outlivedByContainers: outlivedByContainers)
        do {
            try await body(engine)
        } catch {
            await engine.end()
            throw error
        }
        await engine.end()
    }

    private func end() async {
        process.closeInput()
        _ = try? await process.exit(within: .seconds(60))
    }

    /// The one that tests share.
    public static func shared() async throws -> DockerEngine { try await sharing.engine() }

    private static let sharing = Sharing()

    private actor Sharing {
        private var starting: Task<DockerEngine, any Error>?

        func engine() async throws -> DockerEngine {
            let task = starting ?? Task { try await DockerEngine() }
            starting = task
            return try await task.value
        }
    }

    private static var images: String {
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/scripts/images/docker"
    }

    /// kill -9 of the Engine alone.
    public func kill() async throws { try await tell("kill") }
    public func stop() async throws { try await tell("stop") }
    public func start() async throws { try await tell("start") }

    private func tell(_ command: String) async throws {
        process.send(command + "\n")
        let count = told.withLock { told in
            told[command, default: 0] += 1
            return told[command, default: 0]
        }
        try await process.lines(containing: "did \(command)", atLeast: count, within: .seconds(60))
    }

    /// A call of its API, by curl; the body of the answer.
    @discardableResult
    public func api(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        var arguments = ["curl", "-s", "--fail-with-body", "--unix-socket", socket, "-X", method]
        if let body { arguments += ["-H", "Content-Type: application/json", "-d", body.text] }
        let text = try await check(arguments + ["http://localhost/v1.41\(path)"])
        return text.isEmpty ? .null : try JSONValue(parsing: Array(text.utf8))
    }

    /// Makes an image of a directory.
    public func importImage(_ name: String, from root: String) async throws {
        let parts = name.split(separator: ":")
        let url = "http://localhost/v1.41/images/create?fromSrc=-&repo=\(parts[0])&tag=\(parts.last ?? "latest")"
        let script = #"tar c -C "$1" . | curl -s --fail-with-body --unix-socket "$2" -X POST -T - "$3""#
        try await check(["sh", "-c", script, "sh", root, socket, url])
    }

    /// Ids of the containers that carry `label`.
    public func containers(label: String) async throws -> [String] {
        let filter = PercentEncoding.encode(JSONValue.object(["label": [.string(label)]]).text)
        return try await api("GET", "/containers/json?all=1&filters=\(filter)").array?.compactMap { $0["Id"]?.string }
            ?? []
    }
}
