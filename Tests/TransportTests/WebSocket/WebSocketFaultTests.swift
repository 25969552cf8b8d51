import Base
import EventLoop
import Testing

@testable import Transport

/// What a server says of peers that it cut off.
@Suite struct WebSocketFaultTests {
    private func check(
        _ fault: ClientFault,
        _ configuration: WebSocketConfiguration = WebSocketConfiguration(),
        sending frames: [UInt8] = [],
        reading: Bool = true,
        _ run: @escaping @Sendable (WebSocket) async throws -> Void = { while try await $0.receive() != nil {} }
    ) async throws {
        let ends = Ends()
        let handler: HTTPHandler = { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil, configuration: configuration) { socket in
                    ends.add(socket)
                    try await run(socket)
                }
            )
        }
        try await withServer(handler: handler) { server, loop, address in
            let peer = try await RawPeer.connect(address, on: loop, reading: reading)
            try await peer.send(Array(RawFrame.handshake.utf8) + frames)
            guard case .failed = try await ends.next() else { return #expect(Bool(false)) }
            #expect(ClientFault.allCases.filter { server.count(of: $0) > 0 } == [fault])
            #expect(server.count(of: fault) == 1)
            try await peer.close()
        }
    }

    @Test func `a broken rule is counted and logged`() async throws {
        try await check(.webSocketViolation, sending: RawFrame.make(0xF3))
    }

    @Test func `a message over the limit is`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.maximumMessageBytes = 10
        try await check(.webSocketViolation, configuration, sending: RawFrame.text("more than that"))
    }

    @Test func `a ping without an answer is`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.pingInterval = .milliseconds(20)
        configuration.pongTimeout = .milliseconds(20)
        try await check(.webSocketSilence, configuration)
    }

    @Test func `a close without an answer is`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.closeTimeout = .milliseconds(20)
        try await check(.webSocketSilence, configuration) { $0.close() }
    }

    @Test func `a peer that falls behind is`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.slowPeer = .disconnect(above: 1 << 20, after: .seconds(60))
        try await check(.webSocketSlowReader, configuration, reading: false) { socket in
            while true { try await socket.send(binary: [UInt8](repeating: 0, count: 60_000)) }
        }
    }

    @Test func `a peer that takes nothing at all is`() async throws {
        var configuration = WebSocketConfiguration()
        configuration.writeStallLimit = .milliseconds(100)
        try await check(.webSocketSlowReader, configuration, reading: false) { socket in
            while true { try await socket.send(binary: [UInt8](repeating: 0, count: 60_000)) }
        }
    }
}
