public import Base
public import Domain
import Synchronization

/// How many machines of a kind wait for whoever asks for one.
public struct SpareTemplate: Sendable, Equatable {
    public var spec: EnvironmentSpec
    public var count: Int

    public init(spec: EnvironmentSpec, count: Int) {
        self.spec = spec
        self.count = count
    }
}

/// What a server keeps waiting.
public struct SpareConfiguration: Sendable {
    /// Whose they are until somebody claims them.
    public var organizationID: OrganizationID
    /// Its first owner, who asks for them in its name.
    public var userID: UserID
    public var templates: [SpareTemplate]

    public init(organizationID: OrganizationID, userID: UserID, templates: [SpareTemplate]) {
        self.organizationID = organizationID
        self.userID = userID
        self.templates = templates
    }
}

/// The running spares of this server, by what they were made from. Memory only: the rows say what there is.
final class WarmPool: Sendable {
    struct Spare: Sendable, Equatable {
        var id: EnvironmentID
        var organizationID: OrganizationID
        var instance: Int64
    }

    private let ready = Mutex<[String: [Spare]]>([:])
    /// Workers of spares that were there before have yet to come back then.
    let beganAt: Uptime
    /// Rings when there may be one too few, or one that is of no use.
    let bell = Wakeup()

    /// When one last could not be made.
    private let failures = Mutex<[String: Uptime]>([:])
    /// What cannot be made is not tried all the time.
    private static let pause = Duration.seconds(60)

    init(beganAt: Uptime) { self.beganAt = beganAt }

    /// What has become of an environment. One that is no spare, or does not run, is nobody's to claim.
    func note(_ record: EnvironmentRecord) {
        let isReady = record.spareKey != nil && record.state == .running && record.desired == .running
        let isKnown = ready.withLock { ready in
            for key in ready.keys where ready[key]?.contains(where: { $0.id == record.id }) == true {
                guard !isReady || key != record.spareKey else { return true }
                ready[key]?.removeAll { $0.id == record.id }
            }
            guard isReady, let key = record.spareKey else { return false }
            let spare = Spare(id: record.id, organizationID: record.organizationID, instance: record.instance)
            ready[key, default: []].append(spare)
            return true
        }
        if record.spareKey != nil, !isKnown, !record.state.isTransitional { bell.ring() }
    }

    /// The one that waits longest: nobody else gets it.
    func take(_ key: String) -> Spare? {
        ready.withLock { ready in ready[key]?.isEmpty == false ? ready[key]?.removeFirst() : nil }
    }

    var count: Int { ready.withLock { $0.values.reduce(0) { $0 + $1.count } } }
    func count(_ key: String) -> Int { ready.withLock { $0[key]?.count ?? 0 } }

    func failed(_ key: String, at now: Uptime) { failures.withLock { $0[key] = now } }

    func mayMake(_ key: String, at now: Uptime) -> Bool {
        failures.withLock { failures in failures[key].map { now - $0 >= Self.pause } ?? true }
    }

    /// Those that run by the rows, when the server starts.
    func load(_ records: [EnvironmentRecord]) { for record in records { note(record) } }
}
