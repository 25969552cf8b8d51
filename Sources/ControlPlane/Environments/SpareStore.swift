import Database

/// Spares in the rows of `environments`: those with a `spare_key`, which tells what they were made from.
enum SpareStore {
    static let birth: SQL = "UPDATE environments SET spare_key = $2, hostname = name WHERE id = $1"
    static let all: SQL =
        EnvironmentStore.columns + """
             WHERE spare_key IS NOT NULL AND deleted_at IS NULL AND replica_id = $1 ORDER BY id
            """
    /// The fence is in the statement: a spare that runs in this incarnation, and nobody's yet.
    static let claim: SQL = """
        UPDATE environments
        SET organization_id = $3, owner_id = $4, name = $5, kind = $6, auto_stop_minutes = $7, created_at = $8,
            state_entered_at = $8, last_active_at = $8, idle_stop_minutes = $9, requested = $10, spare_key = NULL,
            version = version + 1
        WHERE id = $1 AND instance = $2 AND spare_key IS NOT NULL AND observed_state = 'running'
            AND desired_state = 'running'
        """
    static let forgetLog: SQL = "DELETE FROM provisioning_log WHERE environment_id = $1"
    static let statements = [birth, all, claim, forgetLog]
}
