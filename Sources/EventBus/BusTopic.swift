public import Base

/// The documented topics. What belongs to an organization other than the server's own is under `tenant_{id}.`.
public enum BusTopic: String, Sendable, CaseIterable {
    /// Requests to run something, keyed by the persona.
    case execution = "persona.exec.v1"
    /// Output as it comes, keyed by the execution.
    case output = "persona.output.v1"
    /// What becomes of executions, keyed by the execution.
    case lifecycle = "persona.lifecycle.v1"
    /// What agents tell of, keyed by the project.
    case events = "persona.events.v1"
    /// What could not be taken, keyed by the topic it came from.
    case deadLetters = "persona.dlq.v1"

    private static let tenant = "tenant_"

    /// - Parameter tenant: nil for the server's own organization.
    public func name(tenant: OrganizationID?) -> String {
        tenant.map { "\(Self.tenant)\($0.text).\(rawValue)" } ?? rawValue
    }

    /// The topic and whose it is, as a name says it; nil for a name that is none of these. The tenant is what stands
    /// between the prefix and the topic, whether or not there is such an organization.
    public static func parse(_ name: String) -> (topic: BusTopic, tenant: Substring?)? {
        if let topic = BusTopic(rawValue: name) { return (topic, nil) }
        guard name.hasPrefix(Self.tenant) else { return nil }
        for topic in allCases where name.hasSuffix("." + topic.rawValue) {
            let tenant = name.dropFirst(Self.tenant.count).dropLast(topic.rawValue.count + 1)
            return tenant.isEmpty ? nil : (topic, tenant)
        }
        return nil
    }

    /// Every tenant's topic of this kind, as Kafka's clients take patterns: a regular expression.
    public var tenantPattern: String {
        "^" + Self.tenant + "[0-9A-Za-z_-]+" + rawValue.split(separator: ".").map { "[.]" + $0 }.joined() + "$"
    }
}

/// Which topics a consumer reads: by name, and every tenant's of a kind, those that come later included.
public struct TopicSelection: Sendable, Equatable {
    public var names: [String]
    public var tenantsOf: [BusTopic]

    public init(_ names: [String], tenantsOf: [BusTopic] = []) {
        self.names = names
        self.tenantsOf = tenantsOf
    }

    public func contains(_ name: String) -> Bool {
        if names.contains(name) { return true }
        guard let parsed = BusTopic.parse(name), parsed.tenant != nil else { return false }
        return tenantsOf.contains(parsed.topic)
    }
}
