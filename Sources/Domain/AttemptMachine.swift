/// Why Berth itself ended a run.
public enum StopCause: String, Sendable, Codable {
    case cancelled, timedOut, turnCap, costCap, keyRefused
    /// The server was silent too long, so another attempt may run elsewhere.
    case fenced
}

/// An attempt on its worker, from its acceptance until it is dropped. Pure; drawn in `Docs/states.md`.
public struct AttemptMachine: Sendable, Equatable {
    public enum Phase: Sendable, Equatable {
        /// No process yet → running, ended.
        case preparing
        /// The holder has its process → ended.
        case running
        /// Its end is durable here. Final.
        case ended(ExecutionReport)
    }

    /// What a worker that starts again finds of an attempt in its own row and at the holder.
    public enum Found: Sendable, Equatable {
        case ended(ExecutionReport)
        /// The holder has its process, or its exit status: watched further.
        case kept
        /// The holder that it was accepted under knows nothing of it.
        case neverBegan
        /// That holder is gone, and with it every process: it may have begun.
        case lostWithHolder
    }

    public private(set) var phase = Phase.preparing
    /// The first cause stays.
    public private(set) var stopCause: StopCause?
    /// The server wants nothing of it any more: dropped without a word once it has ended.
    public private(set) var isUnwanted = false

    /// - Parameter stopCause: as a predecessor left it in the row.
    public init(stopCause: StopCause? = nil) { self.stopCause = stopCause }

    public static func found(report: ExecutionReport?, hasChild: Bool, isSameHolder: Bool) -> Found {
        if let report { return .ended(report) }
        if hasChild { return .kept }
        return isSameHolder ? .neverBegan : .lostWithHolder
    }

    public var hasEnded: Bool { report != nil }
    public var report: ExecutionReport? { if case .ended(let report) = phase { report } else { nil } }
    /// The server has its end, or wants none: row and bytes may go. Before that nothing may.
    public var mayBeDropped: Bool { hasEnded }

    /// Asks for the end. Returns whether there is anything to do about it.
    public mutating func stop(_ cause: StopCause) -> Bool {
        guard stopCause == nil, !hasEnded else { return false }
        stopCause = cause
        return true
    }

    /// The server has another end, or another attempt. Returns whether there is anything to do about it.
    public mutating func abandon() -> Bool {
        isUnwanted = true
        return stop(.cancelled)
    }

    /// The process exists.
    public mutating func start() {
        guard !hasEnded else { return }
        phase = .running
    }

    /// The end is durable. The first one stays.
    public mutating func end(_ report: ExecutionReport) {
        guard !hasEnded else { return }
        phase = .ended(report)
    }
}
