/// Names of the host's users, from /etc/passwd itself: a static program must not call getpwuid(3), which loads
/// name-service libraries of another build and crashes.
public enum AccountName {
    public static func of(_ userID: UInt32) -> String? {
        find(userID, in: SmallFile.read("/etc/passwd") ?? "")
    }

    /// Lines of `name:password:uid:…` (passwd(5)).
    static func find(_ userID: UInt32, in text: String) -> String? {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, UInt32(fields[2]) == userID { return String(fields[0]) }
        }
        return nil
    }
}
