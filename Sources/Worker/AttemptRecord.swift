internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Domain
internal import OpenSSL
internal import WorkerProtocol

/// Names an attempt: an execution and its fence.
struct AttemptKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    var executionID: ExecutionID
    var attempt: Int

    /// - Parameter isDocumented: the server's ids may have any form; such an id is known here by a digest in our form.
    init(wireID: String, attempt: Int?, isDocumented: Bool) throws(BerthError) {
        if isDocumented, (try? ExecutionID(wireID)) == nil {
            let digits = SHA256.hash(Array(wireID.utf8)).prefix(26).map { Self.digits[Int($0 & 31)] }
            executionID = try ExecutionID("\(ExecutionKind.prefix)_\(String(digits))")
        } else {
            executionID = try ExecutionID(wireID)
        }
        self.attempt = attempt ?? 1
    }

    init(executionID: ExecutionID, attempt: Int) {
        self.executionID = executionID
        self.attempt = attempt
    }

    private static let digits = Array("0123456789abcdefghjkmnpqrstvwxyz")

    /// The child's id at the holder.
    var description: String { "\(executionID):\(attempt)" }

    static func < (left: Self, right: Self) -> Bool {
        (left.executionID, left.attempt) < (right.executionID, right.attempt)
    }
}

/// What a worker must still know of an attempt after its own death. No prompt, no variable, no credential.
struct AttemptRecord: Sendable, Codable, Equatable {
    /// The execution's id as its server writes it.
    var wireID: String
    var agent: AgentKind
    var caps: RunCaps
    /// First line of the task, for a commit's subject.
    var subject: String
    var workspace: WorkspaceRequest?
    /// Known from the moment the agent may start.
    var checkout: CheckoutRecord?
    /// A private directory to be wiped at the end.
    var temporaryDirectory: String
    /// When it must be over (CLOCK_BOOTTIME, nanoseconds); nil: no limit.
    var deadline: UInt64?
    var acceptedAt: Timestamp
    /// Which holder was to run it; nil in what an earlier version accepted.
    var holder: String?
    /// Why it is being ended; known before the process hears of it, so that a successor tells the same reason.
    var stopCause: StopCause?

    struct CheckoutRecord: Sendable, Codable, Equatable {
        var path: String
        var branch: String
        var baseCommit: String?
        var mirrorPath: String?
        var warnings: [String]

        init(_ checkout: Checkout) {
            path = checkout.path
            branch = checkout.branch
            baseCommit = checkout.baseCommit
            mirrorPath = checkout.mirrorPath
            warnings = checkout.warnings
        }

        var checkout: Checkout {
            Checkout(path: path, branch: branch, baseCommit: baseCommit, mirrorPath: mirrorPath, warnings: warnings)
        }
    }
}

/// An assignment as the worker carries it out: the record, and what is kept in memory only.
struct AttemptOrder: Sendable {
    var record: AttemptRecord
    var prompt: String
    var variables: [String: String]
    var agent: ServerMessage.AgentAssignment
    var remote: RemoteSecrets
}
