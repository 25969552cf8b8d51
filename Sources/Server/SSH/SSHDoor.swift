import Base
import EventLoop
import Relay

/// One way through a worker's link, for one connection.
struct SSHPassage: Sendable {
    var link: LinkChannels
    var channel: OpenChannel

    func cut(_ reason: String) { link.loop.execute { [channel] in channel.cut(reason) } }
}

/// A port of the loopback that leads to one environment's SSH server, as ``SSHDoors`` holds it.
struct SSHDoor {
    /// Connections at a time.
    static let maximumPassages = 64

    let environment: String
    /// Makes the way for a connection that has come.
    let connect: @Sendable () async throws -> SSHPassage
    let listener: ListeningSocket
    let timer: LoopTimer
    /// Held, so that it can be severed.
    let handle: SSHDoorHandle
    var passages: [SSHPassage] = []

    func close(_ reason: String) {
        listener.close()
        timer.close()
        for passage in passages { passage.cut(reason) }
    }
}

/// Ends a door with the key that opened it.
final class SSHDoorHandle: Severable {
    private let token: String
    private let doors: SSHDoors

    init(token: String, doors: SSHDoors) {
        self.token = token
        self.doors = doors
    }

    func sever() { doors.loop.execute { [doors, token] in doors.closeNow(token, "the API key is good no more") } }
}
