import Database

/// The rows of `presences`.
enum PresenceStore {
    private static let columns: SQL = """
        SELECT p.id, p.organization_id, p.environment_id, p.workspace_id, p.user_id, u.name AS user_name, p.client_type,
            p.connected_at, p.last_heartbeat_at
        FROM presences p JOIN users u ON u.id = p.user_id
        """
    static let byID: SQL = columns + " WHERE p.id = $1 AND p.organization_id = $2"
    /// Of an environment, or of one workspace in it; those that were heard since `$4`, oldest first.
    static let list: SQL =
        columns + """
             WHERE p.organization_id = $1 AND p.environment_id = $2
                AND (CAST($3 AS TEXT) IS NULL OR p.workspace_id = $3) AND p.last_heartbeat_at >= $4
            ORDER BY p.connected_at, p.id LIMIT 1000
            """
    static let insert: SQL = """
        INSERT INTO presences
            (id, organization_id, environment_id, workspace_id, user_id, client_type, connected_at, last_heartbeat_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """
    static let heartbeat: SQL = """
        UPDATE presences SET last_heartbeat_at = $4 WHERE id = $1 AND organization_id = $2 AND user_id = $3
        """
    static let delete: SQL = "DELETE FROM presences WHERE id = $1 AND organization_id = $2"
    /// Silent since `$1`, of every organization.
    static let silent: SQL = columns + " WHERE p.last_heartbeat_at < $1 ORDER BY p.last_heartbeat_at LIMIT 500"
    /// Unless it was heard meanwhile.
    static let expire: SQL = "DELETE FROM presences WHERE id = $1 AND organization_id = $2 AND last_heartbeat_at < $3"

    /// For the test that prepares every statement.
    static let statements = [byID, list, insert, heartbeat, delete, silent, expire]
}
