public import Database

/// The control plane's schema, step by step.
public enum ServerSchema {
    public static var migrations: [Migration] {
        [
            Migration(version: 1, name: "foundation", sql: text(PackageResources._001_foundation_sql)),
            Migration(version: 2, name: "uploads", sql: text(PackageResources._002_uploads_sql)),
            Migration(version: 3, name: "replicas", sql: text(PackageResources._003_replicas_sql)),
            Migration(version: 4, name: "shared-files", sql: text(PackageResources._004_shared_files_sql)),
            Migration(version: 5, name: "dead-letters", sql: text(PackageResources._005_dead_letters_sql)),
            Migration(version: 6, name: "bus", sql: text(PackageResources._006_bus_sql)),
            Migration(version: 7, name: "jobs", sql: text(PackageResources._007_jobs_sql)),
            Migration(version: 8, name: "provisioning-log", sql: text(PackageResources._008_provisioning_log_sql)),
            Migration(version: 9, name: "idle", sql: text(PackageResources._009_idle_sql)),
            Migration(version: 10, name: "quotas", sql: text(PackageResources._010_quotas_sql)),
            Migration(version: 11, name: "spares", sql: text(PackageResources._011_spares_sql)),
            Migration(version: 12, name: "bus-topics", sql: text(PackageResources._012_bus_topics_sql)),
            Migration(version: 13, name: "snapshots", sql: text(PackageResources._013_snapshots_sql)),
            Migration(version: 14, name: "fewer-writes", sql: text(PackageResources._014_fewer_writes_sql)),
            Migration(version: 15, name: "job-losses", sql: text(PackageResources._015_job_losses_sql)),
            Migration(version: 16, name: "presence", sql: text(PackageResources._016_presence_sql)),
            Migration(version: 17, name: "workspaces", sql: text(PackageResources._017_workspaces_sql)),
            Migration(version: 18, name: "hand-overs", sql: text(PackageResources._018_hand_overs_sql)),
            Migration(version: 19, name: "workspaces-left", sql: text(PackageResources._019_workspaces_left_sql)),
        ]
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
