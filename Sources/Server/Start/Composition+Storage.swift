import Base
import Database
import Executions
import OutputStore
import Uploads

// Where the bytes of executions are kept: files of this machine, or the database that several servers share.
extension Composition {
    private static func keepsInDatabase(_ configuration: Configuration, _ database: any SQLDatabase) -> Bool {
        configuration.text("outputStore").map { $0 == "database" } ?? database.dialect.isShared
    }

    static func output(
        _ configuration: Configuration,
        _ directory: DataDirectory,
        _ database: any SQLDatabase,
        time: any TimeSource,
        log: Log
    ) -> any OutputStoring {
        guard keepsInDatabase(configuration, database) else {
            if database.dialect.isShared {
                log.warning("output is kept in files, which no other server of the database can show")
            }
            return SegmentOutput(SegmentStore(root: directory.outputPath))
        }
        let output = DatabaseOutput(database)
        return database.wakeUps.map { TellingOutput(output, $0, time: time) } ?? output
    }

    static func files(
        _ area: String,
        at path: String,
        _ configuration: Configuration,
        _ database: any SQLDatabase,
        ids: IDSource,
        time: any TimeSource
    ) throws -> any FileStoring {
        let local = try FileStore(directory: path, limit: configuration.maximumUploadBytes)
        guard keepsInDatabase(configuration, database) else { return local }
        return SharedFileCopies(
            area: area,
            copies: local,
            shared: SharedFileService(database: database, time: time),
            ids: ids
        )
    }
}
