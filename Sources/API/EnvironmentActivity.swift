public import Base
public import Domain

/// `GET /v1/environments/{id}/activity`.
public struct EnvironmentActivity: Sendable, Codable, Equatable {
    public var status: String
    /// Absent: its worker is not connected, or has not spoken yet.
    public var uses: [IdleEvidence.Use]?
    public var reportedAt: Timestamp?
    public var lastUseAt: Timestamp
    /// Something is in progress that is never cut.
    public var isInUse: Bool
    public var autoStopMinutes: Int?
    public var idleStopMinutes: Int?
    /// When it is put to rest unless it is used before; absent: not by itself.
    public var restsAt: Timestamp?
    /// `pause`, or `stop` where its provider cannot pause.
    public var nextRest: IdleEvidence.Action?
    /// Newest first, the last ten that are kept.
    public var rests: [IdleEvidence]

    public init(status: String, lastUseAt: Timestamp, isInUse: Bool, rests: [IdleEvidence]) {
        self.status = status
        self.lastUseAt = lastUseAt
        self.isInUse = isInUse
        self.rests = rests
    }
}

extension Schema {
    private static let use = Schema.object(
        name: "EnvironmentUse",
        members: [
            .required("kind", .string(), "agentTurn, execution, terminal, connection or process"),
            .required("open", .integer(), "how many are in progress"),
            .optional("lastAt", time, "when it was last seen; absent: not since its worker began"),
        ]
    )

    private static let evidence = Schema.object(
        name: "IdleEvidence",
        members: [
            .required("action", .string(values: ["pause", "stop"]), "what was done"),
            .required("rule", .string(values: ["autoStop", "idleStop"]), "its own time, or that of its owner's tier"),
            .required("idleMinutes", .integer(), "minutes since the last use"),
            .required("lastUseAt", time, "when it was last used"),
            .required("decidedAt", time, "when"),
            .required("uses", .array(use), "what its worker said then"),
        ]
    )

    static let environmentActivity = Schema.object(
        name: "EnvironmentActivity",
        members: [
            .required("status", .string(), "observed state"),
            .optional("uses", .array(use), "what its worker says; absent while it is away"),
            .optional("reportedAt", time, "when its worker said so"),
            .required("lastUseAt", time, "when it was last used"),
            .required("isInUse", .boolean, "something is in progress that is never cut"),
            .optional("autoStopMinutes", .integer(), "unused for this long it is paused"),
            .optional("idleStopMinutes", .integer(), "unused for this long it is stopped"),
            .optional("restsAt", time, "when, unless it is used before; absent: not by itself"),
            .optional("nextRest", .string(values: ["pause", "stop"]), "what happens then"),
            .required("rests", .array(evidence), "every time that it was put to rest, newest first"),
        ]
    )
}
