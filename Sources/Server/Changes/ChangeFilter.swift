import Base
import Database

/// Which changes a viewer asked for. Empty lists ask for everything.
struct ChangeFilter: Hashable, Sendable {
    /// Beginnings of types: `execution.`, `environment.running`.
    var types: [String] = []
    /// Ids of the things that changed.
    var subjects: [String] = []
    /// Nouns: what stands before the point of a type.
    var kinds: [String] = []

    func matches(_ event: Event) -> Bool {
        (types.isEmpty || types.contains { event.type.hasPrefix($0) })
            && (subjects.isEmpty || subjects.contains(event.subject))
            && (kinds.isEmpty || kinds.contains { Self.isNoun($0, of: event.type) })
    }

    /// Whether some change of this noun may be wanted.
    func names(_ kind: String) -> Bool {
        (kinds.isEmpty || kinds.contains(kind))
            && (types.isEmpty || types.contains { $0.hasPrefix(kind + ".") || (kind + ".").hasPrefix($0) })
    }

    private static func isNoun(_ noun: String, of type: String) -> Bool {
        type.utf8.count > noun.utf8.count && type.hasPrefix(noun)
            && type.utf8[type.utf8.index(type.utf8.startIndex, offsetBy: noun.utf8.count)] == UInt8(ascii: ".")
    }
}

/// What tells viewers apart: those of one choice are sent the same bytes.
struct ChangeChoice: Hashable, Sendable {
    enum Form: Sendable {
        case serverSentEvents, webSocket
    }

    var filter: ChangeFilter
    /// Whose things it may see beside the organization's; nil: everyone's.
    var user: UserID?
    var form: Form

    func shows(_ event: Event) -> Bool {
        (user == nil || event.ownerID == nil || event.ownerID == user) && filter.matches(event)
    }
}
