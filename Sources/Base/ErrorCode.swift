/// A stable, open name for what went wrong. Unknown codes from a newer peer are kept as they are.
public struct ErrorCode: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }
}

extension ErrorCode {
    // The caller's input.
    public static let invalidRequest = ErrorCode(rawValue: "invalid_request")
    public static let invalidJSON = ErrorCode(rawValue: "invalid_json")
    public static let invalidValue = ErrorCode(rawValue: "invalid_value")
    public static let unknownField = ErrorCode(rawValue: "unknown_field")
    public static let missingField = ErrorCode(rawValue: "missing_field")
    public static let invalidIdentifier = ErrorCode(rawValue: "invalid_identifier")
    public static let invalidPath = ErrorCode(rawValue: "invalid_path")
    public static let tooLarge = ErrorCode(rawValue: "too_large")
    /// The caller took too long over its own request.
    public static let requestTimedOut = ErrorCode(rawValue: "request_timed_out")
    public static let usage = ErrorCode(rawValue: "usage")
    // Who may do what.
    public static let unauthenticated = ErrorCode(rawValue: "unauthenticated")
    public static let forbidden = ErrorCode(rawValue: "forbidden")
    // The state of things.
    public static let notFound = ErrorCode(rawValue: "not_found")
    /// It was there once and is kept no longer.
    public static let gone = ErrorCode(rawValue: "gone")
    public static let methodNotAllowed = ErrorCode(rawValue: "method_not_allowed")
    public static let conflict = ErrorCode(rawValue: "conflict")
    public static let illegalTransition = ErrorCode(rawValue: "illegal_transition")
    public static let stale = ErrorCode(rawValue: "stale")
    public static let quotaExceeded = ErrorCode(rawValue: "quota_exceeded")
    public static let unsupported = ErrorCode(rawValue: "unsupported")
    // Agents and executions.
    public static let agentMissing = ErrorCode(rawValue: "agent_missing")
    public static let loginMissing = ErrorCode(rawValue: "login_missing")
    public static let keyRefused = ErrorCode(rawValue: "key_refused")
    public static let imageUnavailable = ErrorCode(rawValue: "image_unavailable")
    public static let network = ErrorCode(rawValue: "network")
    public static let timedOut = ErrorCode(rawValue: "timed_out")
    public static let cancelled = ErrorCode(rawValue: "cancelled")
    public static let environmentLost = ErrorCode(rawValue: "environment_lost")
    public static let infrastructureLost = ErrorCode(rawValue: "infrastructure_lost")
    public static let rateLimited = ErrorCode(rawValue: "rate_limited")
    public static let endpointFailed = ErrorCode(rawValue: "endpoint_failed")
    public static let agentFailed = ErrorCode(rawValue: "agent_failed")
    public static let costCapReached = ErrorCode(rawValue: "cost_cap_reached")
    public static let turnCapReached = ErrorCode(rawValue: "turn_cap_reached")
    // Git.
    public static let repositoryUnreachable = ErrorCode(rawValue: "repository_unreachable")
    public static let repositoryCredentials = ErrorCode(rawValue: "repository_credentials")
    public static let reference = ErrorCode(rawValue: "reference_not_found")
    public static let repositoryEmpty = ErrorCode(rawValue: "repository_empty")
    /// A host shows another key than the one known of it, or one that is not among those given.
    public static let hostKey = ErrorCode(rawValue: "host_key_refused")
    public static let pushRejected = ErrorCode(rawValue: "push_rejected")
    // The server and its surroundings.
    public static let diskFull = ErrorCode(rawValue: "disk_full")
    /// Stored output is not what was recorded of it.
    public static let outputDamaged = ErrorCode(rawValue: "output_damaged")
    public static let unavailable = ErrorCode(rawValue: "unavailable")
    /// A TLS peer is not who it should be, or cannot show it.
    public static let certificate = ErrorCode(rawValue: "certificate_refused")
    public static let protocolViolation = ErrorCode(rawValue: "protocol_violation")
    public static let sealBroken = ErrorCode(rawValue: "seal_broken")
    public static let sealKeyUnknown = ErrorCode(rawValue: "seal_key_unknown")
    public static let schemaMismatch = ErrorCode(rawValue: "schema_mismatch")
    public static let `internal` = ErrorCode(rawValue: "internal")
}

extension ErrorCode {
    /// Whether the machinery failed, and not what it was asked to do: another attempt may go better.
    public var isInfrastructure: Bool {
        switch self {
        case .network, .unavailable, .diskFull, .environmentLost, .infrastructureLost: true
        default: false
        }
    }

    /// The one place that maps a code to an HTTP status (RFC 9110, section 15).
    public var httpStatus: Int {
        switch self {
        case .invalidRequest, .invalidJSON, .invalidValue, .unknownField, .missingField, .invalidIdentifier,
            .invalidPath, .usage:
            400
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .requestTimedOut: 408
        case .conflict, .illegalTransition, .stale: 409
        case .gone: 410
        case .tooLarge: 413
        case .unsupported, .agentMissing, .loginMissing, .keyRefused, .imageUnavailable, .reference,
            .repositoryEmpty, .repositoryCredentials, .hostKey, .pushRejected:
            422
        case .quotaExceeded, .rateLimited: 429
        // Of no RFC; nobody reads it, because the client has hung up.
        case .cancelled: 499
        case .network, .certificate, .endpointFailed, .repositoryUnreachable, .environmentLost, .infrastructureLost: 502
        case .unavailable: 503
        case .timedOut: 504
        case .diskFull: 507
        default: 500
        }
    }

    /// The one place that maps a code to a program's exit status. 1–63 stay free for the agent's own outcome;
    /// from 64 on the values follow sysexits(3).
    public var exitStatus: Int32 {
        switch self {
        case .usage, .invalidRequest, .invalidJSON, .invalidValue, .unknownField, .missingField,
            .invalidIdentifier, .invalidPath, .tooLarge:
            64
        case .notFound, .gone, .reference, .repositoryEmpty: 66
        case .network, .repositoryUnreachable: 68
        case .unavailable, .endpointFailed, .agentMissing, .imageUnavailable, .unsupported: 69
        case .conflict, .illegalTransition, .stale, .pushRejected: 73
        case .diskFull, .outputDamaged: 74
        case .quotaExceeded, .rateLimited, .costCapReached, .turnCapReached: 75
        case .protocolViolation, .schemaMismatch: 76
        case .unauthenticated, .forbidden, .loginMissing, .keyRefused, .repositoryCredentials, .hostKey, .certificate:
            77
        case .agentFailed: 1
        case .timedOut, .requestTimedOut: 124
        case .cancelled: 130
        case .environmentLost, .infrastructureLost: 71
        default: 70
        }
    }
}
