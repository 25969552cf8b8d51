internal import Base
internal import Synchronization

/// What the Engine said of images lately: a burst of starts asks it once. An image that has gone meanwhile is found missing
/// when a container is made of it.
final class KnownImages: Sendable {
    private static let age = Duration.seconds(30)
    private let images = Mutex<[String: (value: JSONValue, at: Uptime)]>([:])

    func find(_ name: String, at now: Uptime) -> JSONValue? {
        images.withLock { images in
            guard let known = images[name], now - known.at < Self.age else {
                images[name] = nil
                return nil
            }
            return known.value
        }
    }

    func note(_ name: String, _ value: JSONValue, at now: Uptime) { images.withLock { $0[name] = (value, now) } }
    func forget(_ name: String) { images.withLock { $0[name] = nil } }
}
