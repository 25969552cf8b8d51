/// What names one version of a representation (RFC 9110, section 8.8.3).
struct EntityTag: Equatable {
    /// Between the quotes.
    var opaque: Substring
    var isWeak: Bool

    /// nil for what is not `"…"` or `W/"…"`.
    init?(_ text: some StringProtocol) {
        var rest = Substring(text)
        guard let tag = Self.take(from: &rest), rest.isEmpty else { return nil }
        self = tag
    }

    private init(opaque: Substring, isWeak: Bool) {
        self.opaque = opaque
        self.isWeak = isWeak
    }

    func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && opaque == other.opaque }
    func matchesWeakly(_ other: EntityTag) -> Bool { opaque == other.opaque }

    /// `If-Match` and `If-None-Match`: `*`, or tags between commas. A value that is neither names nothing.
    enum List: Equatable {
        case any
        case tags([EntityTag])

        init(_ values: [String]) {
            let value = values.joined(separator: ",")
            if FieldList.trimmed(value[...]) == "*" {
                self = .any
                return
            }
            var rest = value[...]
            var tags: [EntityTag] = []
            while true {
                rest = rest.drop { $0 == "," || $0 == " " || $0 == "\t" }
                guard let tag = EntityTag.take(from: &rest) else { break }
                tags.append(tag)
                rest = rest.drop { $0 == " " || $0 == "\t" }
                guard rest.isEmpty || rest.first == "," else {
                    tags.removeLast()
                    break
                }
            }
            self = .tags(tags)
        }

        func contains(_ isMatch: (EntityTag) -> Bool) -> Bool {
            switch self {
            case .any: true
            case .tags(let tags): tags.contains(where: isMatch)
            }
        }
    }

    /// A tag may hold any character but a quote, commas and backslashes too.
    private static func take(from text: inout Substring) -> EntityTag? {
        let isWeak = text.hasPrefix("W/")
        let quoted = isWeak ? text.dropFirst(2) : text
        guard quoted.first == "\"" else { return nil }
        let opaque = quoted.dropFirst().prefix { $0 != "\"" }
        guard opaque.endIndex < quoted.endIndex else { return nil }
        text = quoted[quoted.index(after: opaque.endIndex)...]
        return EntityTag(opaque: opaque, isWeak: isWeak)
    }
}
