/// Whether to look once more when the loop has flushed what was written in this turn: what then goes out at once makes
/// no progress that anybody is told of. Twice, as the first look may come before the flush of the socket in question;
/// what the second finds unsent is blocked, and its progress is told of.
struct LookAfterFlush {
    private var isRegistered = false
    private var isSecondDue = false
    private var wasSecondDue = false

    /// Returns whether the owner has to ask the loop for a flush of its own.
    mutating func ask() -> Bool {
        isSecondDue = true
        defer { isRegistered = true }
        return !isRegistered
    }

    mutating func begin() {
        isRegistered = false
        wasSecondDue = isSecondDue
        isSecondDue = false
    }

    /// As ``ask()``, at the end of a look.
    mutating func end(isSettled: Bool) -> Bool {
        guard wasSecondDue, !isSettled, !isRegistered else { return false }
        isRegistered = true
        return true
    }
}
