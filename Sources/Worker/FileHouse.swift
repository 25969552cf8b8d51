internal import Base
internal import EventLoop
internal import Glibc
internal import HolderProtocol
internal import Relay
internal import Subprocess
internal import WorkerProtocol
internal import WorkspaceCalls
internal import WorkspaceFiles

/// Starts the program that works on a workspace's files: one for each request, as the environment's user, with its socket
/// at the end of the channel. It ends with the channel.
actor FileHouse {
    /// Programs at a time; followers of changes hold one each.
    private static let maximum = 128

    private let services: Services
    private let program: String
    private var running = 0
    /// Children to wait for, so that the holder may forget them.
    private let children: AsyncStream<String>
    private let addChild: AsyncStream<String>.Continuation

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        services.loop.serialExecutor.asUnownedSerialExecutor()
    }

    /// - Parameter program: the worker's own path.
    init(_ services: Services, program: String) {
        self.services = services
        self.program = program
        (children, addChild) = AsyncStream.makeStream()
    }

    /// Until its task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await id in children { group.addTask { await self.wait(for: id) } }
        }
    }

    private func wait(for id: String) async {
        _ = try? await services.holder.exit(of: id)
        try? await services.holder.forget(id)
        running -= 1
    }

    func start(_ request: FileRequest) async throws -> ServiceStart {
        guard running < Self.maximum else {
            throw BerthError(
                .quotaExceeded,
                "\(Self.maximum) requests work on files of this environment already",
                remedy: "end some, such as 'berth file watch'",
                isRetryable: true
            )
        }
        running += 1
        do {
            let (socket, id) = try await spawn(request)
            addChild.yield(id)
            return { channel in SocketEnd(socket, channel).begin() }
        } catch {
            running -= 1
            throw error
        }
    }

    private func spawn(_ request: FileRequest) async throws -> (Socket, String) {
        let action = String(decoding: try JSONText.encode(request.action), as: UTF8.self)
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw BerthError(.internal, "no descriptor is left", detail: String(cString: strerror(errno)))
        }
        defer { close(pair[1]) }
        let socket: Socket
        do {
            socket = try Socket(adopting: pair[0], loop: services.loop)
        } catch {
            close(pair[0])
            throw error
        }
        let id = "file:\(services.ids.make(RequestKind.self))"
        let layout = services.layout
        do {
            _ = try await services.holder.spawn(
                SpawnRequest(
                    id: id,
                    arguments: [program, FileProgram.word, try layout.path(ofWorkspace: request.directory), action],
                    environment: layout.baseVariables.merging(["LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"]) { $1 }
                        .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
                    directory: "/",
                    user: layout.agentIdentity,
                    input: .descriptor,
                    privileges: layout.agentPrivileges
                ),
                input: pair[1]
            )
            return (socket, id)
        } catch {
            socket.close()
            throw error
        }
    }
}

extension EnvironmentLayout {
    /// Of a workspace's checkout. The server names it; an absolute one lies where its owner has put it.
    func path(ofWorkspace directory: String) throws(BerthError) -> String {
        let parts = directory.split(separator: "/", omittingEmptySubsequences: false)
        guard !directory.isEmpty, !directory.utf8.contains(0), !parts.contains("..") else {
            throw BerthError(.invalidPath, "'\(directory.prefix(80))' is no workspace's directory", field: "directory")
        }
        return directory.hasPrefix("/") ? directory : "\(workspaces)/\(directory)"
    }
}
