public import Base

/// One side of a hand-over of a workspace. Pure; drawn in `Docs/states.md`. The source decides, once, by ``commit()``:
/// before it the source owns the workspace, after it the destination does, and only a person's ``take()`` says otherwise.
/// Every message may come twice; the second one changes nothing.
public struct HandOverMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Of the source: nothing runs any more, the workspace is packed and sent. Owner: the driving server. Deadline:
        /// ``silence`` without progress, then abort. Exits: commit, abort, supersede.
        case preparing
        /// Of the source, which acts on the workspace no more. Owner: the driving server, which tells the destination
        /// until that answers. Deadline: none, for there is no other way on; after ``silence`` the row tells of
        /// `take`. Exits: finish, take.
        case committed
        /// Of the source. A resting state. Exits: take, for a destination that is lost for ever.
        case done
        /// Of the destination: it receives. Owner: the driving server. Deadline: ``silence``, then it may be forgotten,
        /// because the source has no word that anything is here. Exits: prepare, abort.
        case staging
        /// Of the destination: everything is here and durable. It may neither act nor discard. Owner: the driving
        /// server. Deadline: none of its own; after ``silence`` the row tells of `take`. Exits: own, abort, take.
        case prepared
        /// Of the destination: the workspace is its own. A resting state. Exits: supersede.
        case owner
        /// A resting state; the epoch is burnt.
        case aborted
        /// Of the source: a person took the workspace back. A resting state.
        case retaken
        /// A person gave the workspace to the other side; this version is kept as a branch. A resting state.
        case orphaned
    }

    public private(set) var status: Status
    public let side: HandOverSide
    /// That the destination gets; greater than any that was used before.
    public private(set) var epoch: Int64

    /// How long a state may last without a word of the other side.
    public static let silence = Duration.seconds(3600)
    /// How long a version that was sent is kept where it was.
    public static let retention = Duration.seconds(7 * 24 * 3600)

    public init(_ status: Status, side: HandOverSide, epoch: Int64) {
        self.status = status
        self.side = side
        self.epoch = epoch
    }

    public static func source(epoch: Int64) -> HandOverMachine { .init(Status.preparing, side: .source, epoch: epoch) }
    public static func destination(epoch: Int64) -> HandOverMachine {
        .init(Status.staging, side: .destination, epoch: epoch)
    }

    public var state: HandOverState {
        switch status {
        case .preparing: .preparing
        case .committed: .committed
        case .done: .done
        case .staging: .staging
        case .prepared: .prepared
        case .owner: .owner
        case .aborted: .aborted
        case .retaken: .retaken
        case .orphaned: .orphaned
        }
    }

    public init(_ state: HandOverState, side: HandOverSide, epoch: Int64) {
        self.init(Self.status(state), side: side, epoch: epoch)
    }

    private static func status(_ state: HandOverState) -> Status {
        switch state {
        case .preparing: .preparing
        case .committed: .committed
        case .done: .done
        case .staging: .staging
        case .prepared: .prepared
        case .owner: .owner
        case .aborted: .aborted
        case .retaken: .retaken
        case .orphaned: .orphaned
        }
    }

    /// What this state makes of the workspace's row; nil: what it was before.
    public var custody: Custody? {
        switch status {
        case .preparing: .frozen
        case .committed, .done: .away
        case .staging, .prepared: .arriving
        case .owner, .retaken: .owned
        case .orphaned: .orphaned
        case .aborted: nil
        }
    }

    /// Whether something remains to be done.
    public var isOpen: Bool {
        switch status {
        case .preparing, .committed, .staging, .prepared: true
        case .done, .owner, .aborted, .retaken, .orphaned: false
        }
    }

    // MARK: The source

    /// The only decision: the destination owns the workspace from here on.
    public mutating func commit() throws(BerthError) {
        switch status {
        case .preparing: status = .committed
        case .committed, .done: break
        default: throw refused(.committed)
        }
    }

    /// The destination has answered that it acts.
    public mutating func finish() throws(BerthError) {
        switch status {
        case .committed: status = .done
        case .done: break
        default: throw refused(.done)
        }
    }

    // MARK: The destination

    /// Everything is here, verified and durable.
    public mutating func prepare() throws(BerthError) {
        switch status {
        case .staging: status = .prepared
        case .prepared, .owner: break
        default: throw refused(.prepared)
        }
    }

    /// The source has committed.
    public mutating func own() throws(BerthError) {
        switch status {
        case .prepared: status = .owner
        case .owner: break
        default: throw refused(.owner)
        }
    }

    // MARK: Both

    /// Of the source: before the decision. Of the destination: because the source says so, or has no record of it.
    public mutating func abort() throws(BerthError) {
        switch status {
        case .preparing, .staging, .prepared: status = .aborted
        case .aborted: break
        default: throw refused(.aborted)
        }
    }

    /// A person says that this side owns the workspace, because the other one never comes back.
    public mutating func take() throws(BerthError) {
        switch status {
        case .prepared: status = .owner
        case .committed, .done: status = .retaken
        // Said again.
        case .retaken: return
        default:
            throw BerthError(
                .illegalTransition,
                "there is nothing to take: the hand-over is \(state.rawValue)",
                remedy: status == .preparing ? "roll it back: 'berth ws send NAME --abort'" : nil
            )
        }
        epoch += 1
    }

    /// The other side was given the workspace at a later epoch.
    public mutating func supersede(by other: Int64) throws(BerthError) {
        guard other > epoch else { throw BerthError.stale("epoch", held: other, current: epoch) }
        switch status {
        case .preparing, .owner, .retaken: status = .orphaned
        // Nothing of it was ever this side's own.
        case .prepared, .staging: status = .aborted
        // It had given the workspace away already.
        case .committed, .done, .aborted, .orphaned: break
        }
    }

    private func refused(_ wanted: HandOverState) -> BerthError {
        .illegal("hand-over", from: state.rawValue, to: wanted.rawValue)
    }
}
