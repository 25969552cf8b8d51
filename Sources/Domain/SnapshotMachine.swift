public import Base

public enum SnapshotKind: IdentifierKind { public static let prefix = "snap" }

/// An instance that was kept with its memory.
public typealias SnapshotID = Identifier<SnapshotKind>

public enum SnapshotState: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case making, ready, failed, removing

    public var description: String { rawValue }

    /// Nothing is under way.
    public var isSettled: Bool { self == .ready || self == .failed }
}

/// The life of a snapshot. Pure; drawn in `Docs/states.md`. One that is removed has no row any more.
public struct SnapshotMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// The provider writes memory and disk. Owner: its job. Deadline: ``making``. Exits: made → ready, fail and expire →
        /// failed, remove → removing.
        case making(deadlineAt: Timestamp)
        /// A resting state. Exits: remove → removing.
        case ready
        /// A resting state, kept so that its owner sees why. Exits: remove → removing.
        case failed(FailureReason)
        /// Owner: its job, which the reconciler makes anew as often as it takes. Exits: none but the end of its row.
        case removing
    }

    public private(set) var status: Status

    /// A machine's memory goes to disk in seconds; a copied disk may take longer.
    public static let making = Duration.seconds(300)

    public init(status: Status) { self.status = status }

    public static func begun(at now: Timestamp) -> Self { Self(status: .making(deadlineAt: now + making)) }

    public var state: SnapshotState {
        switch status {
        case .making: .making
        case .ready: .ready
        case .failed: .failed
        case .removing: .removing
        }
    }

    public var deadlineAt: Timestamp? { if case .making(let at) = status { at } else { nil } }
    public var reason: FailureReason? { if case .failed(let reason) = status { reason } else { nil } }

    public mutating func made() throws(BerthError) {
        guard case .making = status else { throw .illegal("snapshot", from: state, to: SnapshotState.ready) }
        status = .ready
    }

    public mutating func fail(_ reason: FailureReason) throws(BerthError) {
        guard case .making = status else { throw .illegal("snapshot", from: state, to: SnapshotState.failed) }
        status = .failed(reason)
    }

    /// Nothing before the deadline. Returns whether the state changed.
    public mutating func expire(at now: Timestamp) -> Bool {
        guard case .making(let deadlineAt) = status, now >= deadlineAt else { return false }
        status = .failed(
            FailureReason(.timedOut, "it took too long and was given up", remedy: "take another; see the server's log")
        )
        return true
    }

    /// From every state.
    public mutating func remove() { status = .removing }
}
