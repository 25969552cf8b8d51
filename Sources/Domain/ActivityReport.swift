/// What counts as use of an environment (rule 10).
public enum UseKind: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// An agent works at a turn.
    case agentTurn
    /// A command runs.
    case execution
    /// Bytes to or from a terminal.
    case terminal
    /// Bytes through a connection to one of its ports; one that is open and silent, for its quiet period.
    case connection
    /// Its processes use a processor.
    case process

    public var description: String { rawValue }

    /// What is begun is let end, however long it is silent.
    public var holdsWhileOpen: Bool { self == .agentTurn || self == .execution }
}

/// What an environment's worker has seen of its use, as it sends it with its heartbeats.
public struct ActivityReport: Sendable, Codable, Equatable {
    public struct Use: Sendable, Codable, Equatable {
        /// A ``UseKind``, or one of a later worker.
        public var kind: String
        /// How many are in progress now.
        public var open: Int
        /// Milliseconds since it was last seen; nil: never, for as long as the worker lives.
        public var quietMs: Int64?

        public init(_ kind: UseKind, open: Int = 0, quietMs: Int64? = nil) {
            self.kind = kind.rawValue
            self.open = open
            self.quietMs = quietMs
        }
    }

    /// In the order of ``UseKind``.
    public var uses: [Use]

    public init(uses: [Use]) { self.uses = uses }
}
