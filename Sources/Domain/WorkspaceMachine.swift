public import Base

/// The life of a workspace's checkout. Pure; drawn in `Docs/states.md`.
public struct WorkspaceMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Owner: the execution that will check it out. Deadline: that execution's. Exits: provision, archive.
        case new
        /// Its worker clones. Owner: the attempt. Deadline: the attempt's. Exits: ready, fail, archive.
        case provisioning
        /// A resting state. Exits: provision (another run), archive.
        case ready
        /// A resting state. Exits: provision (a retry), archive.
        case failed(FailureReason)
        /// A resting state: the working tree is gone, its branches are kept. Exits: unarchive.
        case archived
    }

    public private(set) var status: Status

    public init(_ status: Status = .new) { self.status = status }

    public var state: WorkspaceState {
        switch status {
        case .new: .new
        case .provisioning: .provisioning
        case .ready: .ready
        case .failed: .failed
        case .archived: .archived
        }
    }

    public mutating func provision() throws(BerthError) {
        switch status {
        case .new, .ready, .failed: status = .provisioning
        case .provisioning: break
        case .archived: throw refused(.provisioning)
        }
    }

    public mutating func ready() throws(BerthError) {
        switch status {
        case .provisioning, .ready: status = .ready
        case .new, .failed, .archived: throw refused(.ready)
        }
    }

    public mutating func fail(_ reason: FailureReason) throws(BerthError) {
        switch status {
        case .new, .provisioning: status = .failed(reason)
        case .ready, .failed, .archived: throw refused(.failed)
        }
    }

    public mutating func archive() throws(BerthError) {
        guard status != .archived else { throw refused(.archived) }
        status = .archived
    }

    /// Its checkout is made again, from the branches that were kept.
    public mutating func unarchive() throws(BerthError) {
        guard status == .archived else { throw refused(.new) }
        status = .new
    }

    private func refused(_ wanted: WorkspaceState) -> BerthError {
        .illegal("workspace", from: state.rawValue, to: wanted.rawValue)
    }
}
