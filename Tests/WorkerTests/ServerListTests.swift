import Base
import Testing

@testable import Worker

@Suite struct ServerListTests {
    @Test func `servers that an ack names come behind those that were given, each once`() {
        let servers = ServerList(["ws://one:7410/", "wss://two:7410"])
        servers.learn(["http://one:7410", "https://two:7410/", "http://three:7410", "https://one:7410"])
        #expect(servers.all == ["ws://one:7410/", "wss://two:7410", "http://three:7410", "https://one:7410"])
        servers.learn([])
        #expect(servers.all == ["ws://one:7410/", "wss://two:7410"])
    }

    @Test func `behind a socket of its own machine a worker learns of no other server`() {
        let servers = ServerList(["unix:/run/link.sock"])
        servers.learn(["http://one:7410"])
        #expect(servers.all == ["unix:/run/link.sock"])
    }

    @Test func `the variables name several servers, options come first`() throws {
        let common = ["--token-file", "/t", "--state", "/s", "--holder", "/h"]
        let environment = ["BERTH_SERVER": "http://one:1, ws://two:2,"]
        let options = try WorkerOptions(arguments: common, environment: environment)
        #expect(options.links == ["http://one:1", "ws://two:2"])
        let given = try WorkerOptions(arguments: common + ["--link", "/run/l"], environment: environment)
        #expect(given.links == ["unix:/run/l"])
        #expect(throws: BerthError.self) { try WorkerOptions(arguments: common, environment: [:]) }
    }
}
