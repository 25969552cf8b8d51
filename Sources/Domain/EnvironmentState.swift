public import Base

/// What an environment is, as last observed (D7).
public enum EnvironmentState: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case requested, provisioning, starting, running, pausing, paused, stopping, stopped, destroying, destroyed, error

    public var description: String { rawValue }

    /// Something is under way that has a deadline.
    public var isTransitional: Bool {
        switch self {
        case .requested, .provisioning, .starting, .pausing, .stopping, .destroying: true
        case .running, .paused, .stopped, .destroyed, .error: false
        }
    }
}

/// What its owner wants an environment to be.
public enum DesiredState: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case running, paused, stopped, destroyed

    public var description: String { rawValue }
}

/// What was under way when something went wrong; `retry` takes it up again.
public enum EnvironmentOperation: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case provision, start, pause, resume, stop, destroy

    public var description: String { rawValue }

    /// Where its job waits, as documented.
    public var queue: WorkQueue { self == .provision ? .provision : .control }

    /// Whether its job also does this: the first boot goes with the laying of the files.
    public func covers(_ operation: EnvironmentOperation) -> Bool {
        self == operation || (self == .provision && operation == .start)
    }
}

/// Why an environment is in error.
public struct EnvironmentCause: Sendable, Codable, Equatable {
    public var operation: EnvironmentOperation
    public var code: ErrorCode
    /// For people.
    public var message: String
    /// What the provider said, word for word; without secrets.
    public var providerWords: String?
    public var remedy: String?

    public init(
        _ operation: EnvironmentOperation,
        _ code: ErrorCode,
        _ message: String,
        providerWords: String? = nil,
        remedy: String? = nil
    ) {
        self.operation = operation
        self.code = code
        self.message = message
        self.providerWords = providerWords
        self.remedy = remedy
    }

    public init(_ operation: EnvironmentOperation, _ error: BerthError) {
        self.init(operation, error.code, error.message, providerWords: error.detail, remedy: error.remedy)
    }
}

/// What a provider's own list says of an instance.
public enum InstanceCondition: String, Sendable, Codable, CaseIterable {
    case running, paused
    /// Its files are there, nothing runs.
    case stopped
    /// The provider does not know it.
    case absent
}

/// How long each transitional state may last before it becomes an error.
public struct EnvironmentTimes: Sendable, Equatable {
    /// In the queue, behind others.
    public var requested: Duration
    public var provisioning: Duration
    /// From the start (or resume) of an instance until its worker has said that it is ready.
    public var starting: Duration
    public var pausing: Duration
    public var stopping: Duration
    public var destroying: Duration

    public init(
        requested: Duration = .seconds(3600),
        provisioning: Duration = .seconds(300),
        starting: Duration = .seconds(60),
        pausing: Duration = .seconds(60),
        stopping: Duration = .seconds(60),
        destroying: Duration = .seconds(120)
    ) {
        self.requested = requested
        self.provisioning = provisioning
        self.starting = starting
        self.pausing = pausing
        self.stopping = stopping
        self.destroying = destroying
    }
}
