import Base
import Database
import FoundationEssentials

/// The rows of the embedded log.
enum EmbeddedBusStore {
    static let partitions: SQL = """
        SELECT topic, part, first_offset, next_offset FROM bus_partitions ORDER BY topic, part
        """
    static let partition: SQL = """
        SELECT first_offset, next_offset FROM bus_partitions WHERE topic = $1 AND part = $2
        """
    static let count: SQL = "SELECT COUNT(*) AS count FROM bus_partitions WHERE topic = $1"
    static let insertPartition: SQL = "INSERT INTO bus_partitions (topic, part, created_at) VALUES ($1, $2, $3)"
    static let advance: SQL = """
        UPDATE bus_partitions SET next_offset = next_offset + $3 WHERE topic = $1 AND part = $2 RETURNING next_offset
        """
    static let insert: SQL = """
        INSERT INTO bus_messages (topic, part, message_offset, message_key, value, headers, recorded_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """
    static let page: SQL = """
        SELECT topic, part, message_offset, message_key, value, headers, recorded_at FROM bus_messages
        WHERE topic = $1 AND part = $2 AND message_offset >= $3 ORDER BY message_offset LIMIT $4
        """
    /// The last of the oldest messages of a partition that came before a time, in steps of a thousand.
    static let outdated: SQL = """
        SELECT MAX(o.message_offset) AS last FROM (
            SELECT message_offset, recorded_at FROM bus_messages WHERE topic = $1 AND part = $2
            ORDER BY message_offset LIMIT 1000
        ) o WHERE o.recorded_at < $3
        """
    static let delete: SQL = "DELETE FROM bus_messages WHERE topic = $1 AND part = $2 AND message_offset <= $3"
    static let trim: SQL = """
        UPDATE bus_partitions SET first_offset = $3 WHERE topic = $1 AND part = $2 AND first_offset < $3
        """

    static let touchMember: SQL = """
        UPDATE bus_members SET expires_at = $3 WHERE consumer_group = $1 AND member = $2
        """
    static let insertMember: SQL = """
        INSERT INTO bus_members (consumer_group, member, expires_at) VALUES ($1, $2, $3)
        """
    static let dropMembers: SQL = "DELETE FROM bus_members WHERE consumer_group = $1 AND expires_at <= $2"
    static let dropMember: SQL = "DELETE FROM bus_members WHERE consumer_group = $1 AND member = $2"
    static let members: SQL = "SELECT COUNT(*) AS count FROM bus_members WHERE consumer_group = $1"
    static let group: SQL = """
        SELECT consumer_group, topic, part, committed_offset, member, leased_until FROM bus_groups
        WHERE consumer_group = $1 ORDER BY topic, part
        """
    static let groups: SQL = """
        SELECT consumer_group, topic, part, committed_offset, member, leased_until FROM bus_groups
        ORDER BY consumer_group, topic, part
        """
    static let insertGroup: SQL = "INSERT INTO bus_groups (consumer_group, topic, part) VALUES ($1, $2, $3)"
    static let lease: SQL = """
        UPDATE bus_groups SET member = $4, leased_until = $5 WHERE consumer_group = $1 AND topic = $2 AND part = $3
        """
    static let releaseAll: SQL = """
        UPDATE bus_groups SET member = NULL, leased_until = 0 WHERE consumer_group = $1 AND member = $2
        """
    static let commit: SQL = """
        UPDATE bus_groups SET committed_offset = $5
        WHERE consumer_group = $1 AND topic = $2 AND part = $3 AND member = $4
        """

    static let statements = [
        partitions, partition, count, insertPartition, advance, insert, page, outdated, delete, trim, touchMember,
        insertMember, dropMembers, dropMember, members, group, groups, insertGroup, lease, releaseAll, commit,
    ]

    static func message(_ row: Row) throws -> BusMessage {
        BusMessage(
            topic: try row.text("topic"),
            partition: Int32(try row.int("part")),
            offset: try row.integer("message_offset"),
            key: try row.optionalBlob("message_key"),
            value: try row.optionalBlob("value"),
            headers: try BusHeader.list(try row.optionalText("headers")),
            at: try row.timestamp("recorded_at")
        )
    }
}

extension BusHeader {
    /// Headers as a column holds them: pairs of name and hexadecimal bytes; nil: none.
    public static func text(_ headers: [BusHeader]) -> String? {
        guard !headers.isEmpty else { return nil }
        return JSONValue.array(headers.map { .array([.string($0.name), .string(Hex.encode($0.value))]) }).text
    }

    public static func list(_ text: String?) throws -> [BusHeader] {
        guard let text else { return [] }
        let pairs = try JSONValue(parsing: text.utf8).array ?? []
        return pairs.compactMap { pair in
            guard let name = pair.array?.first?.string, let value = pair.array?.last?.string else { return nil }
            return BusHeader(name, Hex.decode(value) ?? [])
        }
    }
}
