public import Base

extension Configuration {
    /// nil: SQLite in the data directory.
    public var databaseURL: Secret<String>? { secret("database").flatMap { $0.reveal() == "sqlite" ? nil : $0 } }

    /// A database's URL as it may be shown: without its password and its parameters.
    static func shown(database url: String) -> String {
        guard let scheme = url.split(separator: ":", maxSplits: 1).first, url.contains("://") else { return url }
        let rest = url.dropFirst(scheme.count + 3).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let place = rest.first.map(String.init) ?? ""
        guard let at = place.lastIndex(of: "@") else { return "\(scheme)://\(place)" }
        let user = place[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)[0]
        return "\(scheme)://\(user)@\(place[place.index(after: at)...])"
    }
}
