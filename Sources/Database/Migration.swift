/// One numbered step of a schema. Released steps never change: a later step corrects an earlier one.
public struct Migration: Sendable {
    /// 1, 2, 3, … without gaps.
    public let version: Int
    /// Such as `foundation` of `0001-foundation.sql`.
    public let name: String
    public let sql: String

    public init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }

    /// Detects edits of a released file; not a protection against an attacker (FNV-1a, 64 bits).
    var checksum: String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in sql.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return "fnv1a64:" + String(hash, radix: 16)
    }
}
