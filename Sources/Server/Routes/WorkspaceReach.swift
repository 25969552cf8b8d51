import API
import Base
import Domain
import Environments
import Relay
import Synchronization
import Transport
import WorkerProtocol
import WorkspaceCalls
import WorkspaceTypes
import Workspaces

/// A workspace with the environment that its checkout is in.
struct HousedWorkspace: Sendable {
    var workspace: WorkspaceRecord
    var environment: EnvironmentRecord
}

/// The way to a workspace's checkout.
extension ServerCore {
    /// These look into the checkout.
    private static let looking: Set<RouteID> = [
        .fileList, .fileStat, .fileRead, .fileSearch, .fileWatch, .treeDownload, .gitStatus, .gitDiff, .gitLog,
        .gitBranchList,
    ]
    /// These change it.
    private static let changing: Set<RouteID> = [
        .fileWrite, .fileRemove, .fileMakeDirectory, .fileMove, .treeUpload, .gitCommit, .gitBranchCreate, .gitSwitch,
        .gitPush, .gitPull,
    ]

    /// The one that the path names: the caller must see it, and its environment must open to them. What changes it is
    /// refused where another server owns it.
    func housed(_ context: RequestContext) async throws -> HousedWorkspace {
        let principal = try context.principal
        let workspace = try await self.workspace(context)
        if workspace.state == .archived, Self.looking.union(Self.changing).contains(context.route.id) {
            throw BerthError(
                .conflict,
                "the workspace '\(workspace.name)' is archived: it has no working tree",
                field: "workspaceId",
                remedy: "bring it back: berth ws unarchive \(workspace.name)"
            )
        }
        if Self.changing.contains(context.route.id) {
            try await workspaces.checkOwned(workspace.id, organization: workspace.organizationID)
        }
        let environment = try await environments.find(
            workspace.environmentID.text,
            organization: principal.organizationID,
            user: principal.userID
        )
        return HousedWorkspace(workspace: workspace, environment: environment)
    }

    /// The channels of its environment, woken where it rests.
    func channels(of housed: HousedWorkspace) async throws -> LinkChannels {
        try channels(of: try await reached(housed.environment))
    }
}

/// What a service of the worker's sends and takes, frame by frame. One task at a time reads.
final class BulkExchange: Sendable {
    private let stream: ChannelStream
    private let parser = Mutex(BulkFrame.Parser())
    /// Taken out of the parser and not by a reader yet.
    private let waiting = Mutex<BulkFrame?>(nil)

    init(_ stream: ChannelStream) { self.stream = stream }

    /// The next frame. Throws what the service refused it with, `network` when it broke off.
    func next(until deadline: Uptime? = nil) async throws -> BulkFrame {
        try await prepare(until: deadline)
        let frame = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        switch frame {
        case nil: throw Self.misspoken
        case .refusal(let bytes)?: throw Self.error(bytes)
        case let frame?: return frame
        }
    }

    /// Returns when there is a next frame.
    func prepare(until deadline: Uptime? = nil) async throws {
        while waiting.withLock({ $0 == nil }) {
            if let frame = try parser.withLock({ parser in try parser.next() }) {
                return waiting.withLock { $0 = frame }
            }
            guard let bytes = try await stream.read(until: deadline) else {
                throw BerthError(.network, "the environment broke off in mid-answer", isRetryable: true)
            }
            parser.withLock { $0.append(bytes) }
        }
    }

    /// The end of a request that has one answer.
    func end<Answer: Decodable>(_: Answer.Type = Answer.self, until deadline: Uptime? = nil) async throws -> Answer {
        guard case .end(let bytes) = try await next(until: deadline) else { throw Self.misspoken }
        return try Self.decode(bytes)
    }

    func item<Answer: Decodable>(_: Answer.Type = Answer.self, until deadline: Uptime? = nil) async throws -> Answer {
        guard case .item(let bytes) = try await next(until: deadline) else { throw Self.misspoken }
        return try Self.decode(bytes)
    }

    func send(_ bytes: [UInt8]) async throws {
        for start in stride(from: 0, to: bytes.count, by: BulkFrame.maximumPayload) {
            let piece = bytes[start..<min(start + BulkFrame.maximumPayload, bytes.count)]
            try await stream.write(BulkFrame.data(piece).encoded())
        }
    }

    func sendEnd() async throws { try await stream.write(BulkFrame.end([]).encoded()) }

    static func decode<Answer: Decodable>(_ bytes: [UInt8]) throws(BerthError) -> Answer {
        do {
            return try JSONText.decode(Answer.self, from: bytes)
        } catch {
            throw misspoken
        }
    }

    private static func error(_ bytes: [UInt8]) -> BerthError {
        (try? JSONText.decode(ServiceRefusal.self, from: bytes))?.error ?? misspoken
    }

    static var misspoken: BerthError {
        BerthError(.protocolViolation, "the environment's answer cannot be read")
    }
}
