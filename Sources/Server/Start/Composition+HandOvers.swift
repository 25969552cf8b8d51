import Base
import Crypto
import Database
import Domain
import HandOvers

extension Composition {
    static func handOvers(
        _ configuration: Configuration,
        _ database: any SQLDatabase,
        _ feed: Feed,
        _ sealer: Sealer,
        ids: IDSource,
        time: any TimeSource
    ) -> HandOverService {
        HandOverService(
            database: database,
            feed: feed,
            sealer: sealer,
            time: time,
            ids: ids,
            location: configuration.location
        )
    }
}
