import Base
import Domain
import Executions
import Synchronization
import WorkerProtocol
import Workers

/// Workers that stand alone need no environments.
struct Surroundings: EnvironmentWaking, InstanceBridge, WorkspaceObserver {
    func wake(_ environment: EnvironmentID, organization: OrganizationID) async throws -> FailureReason? { nil }
    func workerReady(_ environment: EnvironmentID, organization: OrganizationID, instance: Int64) async throws {}
    func workerGone(_ environment: EnvironmentID) async {}
    func network(of environment: EnvironmentID, organization: OrganizationID) async throws -> NetworkPolicy { .none }
    func workerSaw(
        _ report: ActivityReport,
        in environment: EnvironmentID,
        _ organization: OrganizationID,
        instance: Int64
    ) {}
    func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
        isSetup: Bool,
        state: ExecutionState,
        outcome: WorkspaceOutcome?,
        failure: FailureReason?
    ) async {}
}

/// An assignment that a worker received.
struct Given: Sendable {
    var key: AttemptKey
    var worker: WorkerID
}

/// The end of a worker's link: takes the encoded messages, as a socket does, and looks at assignments only.
final class MemoryLink: LinkTransport {
    let worker = Mutex<WorkerID?>(nil)
    private let given: AsyncStream<Given>.Continuation
    private static let assignment = Array(#""type":"assign""#.utf8)
    private static let name = Array(#""executionId":""#.utf8)
    private static let idLength = 31

    init(given: AsyncStream<Given>.Continuation) { self.given = given }

    func send(text: [UInt8]) async throws {
        guard Self.place(of: Self.assignment, in: text) != nil, let name = Self.place(of: Self.name, in: text),
            let worker = worker.withLock({ $0 })
        else { return }
        let id = String(decoding: text[(name + Self.name.count)...].prefix(Self.idLength), as: UTF8.self)
        given.yield(Given(key: AttemptKey(try ExecutionID(id), 1), worker: worker))
    }

    private static func place(of part: [UInt8], in text: [UInt8]) -> Int? {
        text.withUnsafeBytes { text in
            part.withUnsafeBytes { part in
                var start = 0
                while start + part.count <= text.count {
                    if text[start] == part[0], text[start..<(start + part.count)].elementsEqual(part) { return start }
                    start += 1
                }
                return nil
            }
        }
    }

    func send(binary: [UInt8]) async throws {}
    func answered(channel: UInt32, refusal: String?) async {}
    func close(code: UInt16, reason: String) async {}
}

/// Numbers from 0 on, each given out once.
final class Counter: Sendable {
    private let next = Atomic<Int>(0)

    func take() -> Int { next.wrappingAdd(1, ordering: .relaxed).oldValue }
}
