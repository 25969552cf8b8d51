/// The text of one statement. Written as a literal; values are bound to `$1`, `$2`, …, never interpolated, so the type
/// deliberately takes no interpolated string. Pieces shared by several statements are joined with `+`.
public struct SQL: Sendable, Hashable, ExpressibleByStringLiteral {
    public let text: String
    /// Of the text, which is long and looked up for every run.
    private let hash: Int

    public init(stringLiteral text: StaticString) { self.init(trusted: text.description) }

    /// For text put together from constants; never from anything a caller sent.
    public init(trusted text: String) {
        self.text = text
        hash = text.hashValue
    }

    public static func == (left: SQL, right: SQL) -> Bool { left.hash == right.hash && left.text == right.text }

    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }

    public static func + (left: SQL, right: SQL) -> SQL { SQL(trusted: left.text + right.text) }

    /// `$3, $4, $5` for an IN list of `count` values whose first placeholder is `$first`.
    public static func placeholders(from first: Int, count: Int) -> SQL {
        SQL(trusted: (first..<first + count).map { "$\($0)" }.joined(separator: ", "))
    }
}
