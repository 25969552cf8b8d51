import Base

/// The marked block that `berth config-ssh` keeps in a person's ssh_config(5). Everything else stays byte for byte.
enum SSHConfigFile {
    static let begin = "# >>> berth: made by 'berth config-ssh', taken out by 'berth config-ssh --remove' >>>"
    static let end = "# <<< berth <<<"

    /// The text with `block` in place of the old one; nil takes it out. At the beginning, because the first value that
    /// is found for an option is the one that counts.
    static func text(_ before: String, with block: String?) throws(BerthError) -> String {
        let rest = try without(before)
        guard let block else { return rest }
        return "\(begin)\n\(block)\(end)\n\(rest)"
    }

    private static func without(_ text: String) throws(BerthError) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.firstIndex(where: { $0 == begin }) else { return text }
        guard let last = lines[first...].firstIndex(where: { $0 == end }) else {
            throw BerthError(
                .conflict,
                "the block of berth in the file has a beginning and no end",
                remedy: "remove the lines from '\(begin)' on by hand, then run this again"
            )
        }
        return (lines[..<first] + lines[(last + 1)...]).joined(separator: "\n")
    }
}
