import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct ReadMarkTests {
    /// Says after each reading that much more is to come, right or wrong.
    private final class Hopeful: SocketDelegate {
        let socket: Socket
        let received: @Sendable (Int) -> Void

        init(_ socket: Socket, received: @escaping @Sendable (Int) -> Void) {
            self.socket = socket
            self.received = received
        }

        func socketReceived(_ bytes: UnsafeRawBufferPointer) {
            socket.expect(64 * 1024)
            received(bytes.count)
        }
        func socketInputEnded() { socket.close() }
        func socketClosed(_ error: BerthError?) { received(-1) }
    }

    @Test(arguments: [false, true])
    func `who expects more than ever comes gets what comes, and the end`(isUnix: Bool) async throws {
        try await withLoop { loop in
            let (counts, continuation) = AsyncStream.makeStream(of: Int.self)
            let accepted: @Sendable (CInt, SocketAddress) -> Void = { descriptor, _ in
                guard let socket = try? Socket(adopting: descriptor, loop: loop) else { return }
                socket.delegate = Hopeful(socket) { continuation.yield($0) }
                socket.resumeReading()
            }
            let path = "/tmp/berth-mark-\(Hex.encode(SystemRandomness().bytes(6)))"
            let any = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
            let listener = try await loop.run {
                isUnix
                    ? try ListeningSocket(unix: path, mode: 0o600, loop: loop, accepted: accepted)
                    : try ListeningSocket(tcp: any, loop: loop, accepted: accepted)
            }
            let peer = try await RawPeer.connect(listener.address, on: loop)
            var next = counts.makeAsyncIterator()
            for size in [40_000, 10, 1, 70_000, 3] {
                try await peer.send([UInt8](repeating: 7, count: size))
                var got = 0
                while got < size, let count = await next.next(), count > 0 { got += count }
                #expect(got == size)
            }
            // Bytes below the mark do not go under in the end that follows at once.
            try await peer.send([UInt8](repeating: 7, count: 20_000))
            try await peer.close()
            var got = 0
            while let count = await next.next(), count > 0 { got += count }
            #expect(got == 20_000)
            try await loop.run { listener.close() }
        }
    }

    @Test func `a flow is what two large messages close together make, and the shorter of them is expected`() {
        var flow = MessageFlow()
        func at(_ microseconds: Int64) -> Uptime { Uptime(nanoseconds: 1_000_000) + .microseconds(microseconds) }
        #expect(flow.next == 0)
        for (length, time, next) in [
            (65_536, 0, 0), (70_000, 100, 65_536), (66_000, 600, 66_000), (66_000, 1101, 0), (16_384, 1200, 16_384),
            (100, 1201, 0), (65_536, 1202, 0), (65_536, 1203, 65_536),
        ] as [(Int, Int64, Int)] {
            flow.took(length, at: at(time))
            #expect(flow.next == next, "\(length) at \(time)")
            // Three messages of a flow at once, the rest of one message otherwise.
            #expect(flow.expected(missing: nil) == 3 * next)
            #expect(flow.expected(missing: 100) == 100 + 2 * next)
        }
    }
}
