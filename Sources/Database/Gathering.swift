/// How long a group that has run all that waited holds its commit back. Who shared the last commit mostly comes back at once;
/// a commit that just misses them makes them wait for a whole one more. So it waits for as many as last time, and for each
/// an eighth of what a commit takes at most; transactions that come one by one wait for nobody.
package struct Gathering {
    private var lastCount = 0
    private var lastCommit = Duration.zero
    private static let share = 8
    private static let longest = Duration.milliseconds(1)

    package init() {}

    /// - Parameter count: those that are in the group.
    package func patience(having count: Int) -> Duration {
        count > 0 && count < lastCount ? min(lastCommit / Self.share, Self.longest) : .zero
    }

    /// - Parameter commit: what its commit took.
    package mutating func committed(_ count: Int, in commit: Duration) { (lastCount, lastCommit) = (count, commit) }
}
