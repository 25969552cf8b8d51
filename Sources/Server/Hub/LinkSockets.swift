import Base
import EventLoop
import FoundationEssentials
import Transport

/// The sockets through which the workers inside environments reach the server: one per environment, so that a sandbox
/// without network works and the server itself stays on loopback. A worker sees its socket's file come back after a
/// restart and connects at once.
actor LinkSockets {
    private let loops: [EventLoop]
    private var turn = 0
    private let hub: LateBinding<WorkerHub>
    private let ids: IDSource
    private let log: Log
    private var servers: [EnvironmentID: HTTPServer] = [:]

    init(loops: [EventLoop], hub: LateBinding<WorkerHub>, ids: IDSource, log: Log) {
        self.loops = loops
        self.hub = hub
        self.ids = ids
        self.log = log
    }

    /// Listens on `path`; does nothing when this environment's socket is open already.
    func open(_ environment: EnvironmentID, path: String) async throws {
        guard servers[environment] == nil else { return }
        // One loop for an environment's connections, so that nothing of it changes threads; the next one for the next.
        turn = (turn + 1) % loops.count
        let server = HTTPServer(loops: [loops[turn]], configuration: Self.configuration, ids: ids, log: log) {
            [hub] request in
            guard let hub = hub.value else { throw BerthError(.unavailable, "the server is starting") }
            return try await hub.answer(request)
        }
        servers[environment] = server
        do {
            try await server.listen(on: .unix(path: path, mode: 0o600))
        } catch {
            servers[environment] = nil
            throw error
        }
    }

    /// After a restart of the server: the sockets of the environments on disk that live; of all where nobody knows. One at
    /// rest costs nothing here until it starts.
    func reopen(in directory: String, living: Set<EnvironmentID>?) async {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names.sorted() {
            let run = "\(directory)/\(name)/run"
            guard let environment = try? EnvironmentID(name), living?.contains(environment) != false,
                Files.exists(run)
            else { continue }
            do {
                try await open(environment, path: run + "/link.sock")
            } catch {
                log.warning("link not opened", ["environment_id": environment, "error": "\(error)"])
            }
        }
    }

    func close(_ environment: EnvironmentID) async {
        await servers.removeValue(forKey: environment)?.shutdown(drainingFor: .zero)
    }

    func closeAll() async {
        for environment in servers.keys.sorted() { await close(environment) }
    }

    private static var configuration: HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration()
        configuration.maximumConnections = 16
        // Bundles of new commits have a limit of their own.
        configuration.maximumBodyBytes = 1 << 40
        configuration.renderError = { FrontDoor.problem($0, requestID: nil) }
        return configuration
    }
}
